/** Messages that can be told apart and known again, of sizes that fill no row, one row and several. */

const SIZES = [0, 10, 3_000, 70_000, 262_144, 600_000];
const WEIGHTS = [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 2, 2, 2, 4, 2, 2, 2, 5];

export function numberedMessage(number: number): Buffer {
  const size = SIZES[WEIGHTS[number % WEIGHTS.length] ?? 0] ?? 0;
  return Buffer.from(`Subject: ${number}\r\n\r\n${String(number % 10).repeat(size)}`);
}

/** Undefined for octets that are no numbered message, whole and unchanged. */
export function numberOf(raw: Buffer): number | undefined {
  const match = /^Subject: (\d+)\r\n/.exec(raw.toString('latin1', 0, 40));
  const number = Number(match?.[1]);
  return match !== null && numberedMessage(number).equals(raw) ? number : undefined;
}
