/** Sizes as people write and read them: "500MB", "1.5 GiB". */

const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;
const SIZE = /^(\d{1,15}(?:\.\d{1,6})?) ?(?:B|([kMGTP])(i?)B)?$/i;

/** Octets; undefined for what is no size, or too large for one. Without a unit it counts octets. */
export function parseSize(text: string): number | undefined {
  const [, digits, prefix = '', binary = ''] = SIZE.exec(text.trim()) ?? [];
  if (digits === undefined) return undefined;
  const power = prefix === '' ? 0 : 'KMGTP'.indexOf(prefix.toUpperCase()) + 1;
  const octets = Math.round(Number(digits) * (binary === '' ? 1000 : 1024) ** power);
  return Number.isSafeInteger(octets) ? octets : undefined;
}

/** "0 B", "1.2 MB", "48 GB": decimal units, two digits that say something. */
export function formatSize(octets: number): string {
  let value = octets;
  let unit = 0;
  // what would be rounded up to 1000 is 1 of the next
  while (Math.round(value) >= 1000 && unit < DECIMAL.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const text = unit > 0 && value < 9.95 ? value.toFixed(1).replace(/\.0$/, '') : value.toFixed(0);
  return `${text} ${DECIMAL[unit]}`;
}
