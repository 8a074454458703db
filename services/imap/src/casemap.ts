/**
 * The order of texts in SORT and THREAD: i;unicode-casemap (RFC 5051), in which letters are alike
 * whatever their case, and compatible characters whatever their form.
 */

/** Octets of a text that are compared: what differs later is told apart no more. */
const MAX_KEY_OCTETS = 1024;

/** Characters whose simple titlecase (UnicodeData.txt) is another one than toUpperCase has. */
const TITLES: ReadonlyMap<string, string> = new Map([
  ...['Ǆǅǆ', 'Ǉǈǉ', 'Ǌǋǌ', 'Ǳǲǳ'].flatMap(([upper = '', title = '', lower = '']) =>
    [upper, title, lower].map((one): [string, string] => [one, title]),
  ),
  // those with an iota, whose full uppercase is two letters
  ...[0x1f80, 0x1f90, 0x1fa0].flatMap((first) =>
    Array.from({ length: 8 }, (_, at): [string, string] => [
      String.fromCodePoint(first + at),
      String.fromCodePoint(first + at + 8),
    ]),
  ),
  ['ᾳ', 'ᾼ'],
  ['ῃ', 'ῌ'],
  ['ῳ', 'ῼ'],
]);
/** Georgian letters have an uppercase, and are their own titlecase. */
const OWN_TITLE = /[\u10d0-\u10fa\u10fd-\u10ff]/;

function titlecase(character: string): string {
  const title = TITLES.get(character);
  if (title !== undefined) return title;
  if (OWN_TITLE.test(character)) return character;
  const upper = character.toUpperCase();
  // a mapping to several characters is none of the simple ones
  return upper.length === character.length ? upper : character;
}

/**
 * What `text` is compared by: strings that i;unicode-casemap takes for equal have the same key, and `<`
 * between keys is its order. One character stands for an octet of UTF-8. The key keeps no longer
 * string in memory.
 */
export function collationKey(text: string): string {
  const ascii = /^\p{ASCII}*$/u.test(text);
  const mapped = ascii
    ? text.toUpperCase()
    : Array.from(text, titlecase).join('').normalize('NFKD');
  return Buffer.from(mapped).toString('latin1', 0, MAX_KEY_OCTETS);
}

/** For Array.sort. */
export function compareKeys(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
