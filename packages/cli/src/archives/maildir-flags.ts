/** Flags as letters in the names of a Maildir's files, keywords as Dovecot has them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from './archive-index.ts';

/** In the order in which they are written, which is ASCII's. */
const LETTERS: readonly (readonly [string, string])[] = [
  ['D', '\\Draft'],
  ['F', '\\Flagged'],
  ['R', '\\Answered'],
  ['S', '\\Seen'],
  ['T', '\\Deleted'],
];
/** "Passed": resent, forwarded or bounced. */
const PASSED = 'P';
const FORWARDED = '$Forwarded';

const KEYWORDS_FILE = 'dovecot-keywords';
/** The letters a to z. */
const MAX_KEYWORDS = 26;
/** What the store takes as a keyword. */
const KEYWORD = /^[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]{1,100}$/;

const letterOf = (index: number): string => String.fromCharCode(0x61 + index);

/** A folder's keywords by their letters: lines of "0 work" in its dovecot-keywords. */
export class KeywordLetters {
  readonly #folder: string;
  readonly #keywords: (string | undefined)[];

  private constructor(folder: string, keywords: (string | undefined)[]) {
    this.#folder = folder;
    this.#keywords = keywords;
  }

  static async read(folder: string): Promise<KeywordLetters> {
    const text = await readFile(join(folder, KEYWORDS_FILE), 'utf8').catch(() => '');
    const keywords: (string | undefined)[] = [];
    for (const line of text.split('\n')) {
      const [, index, keyword] = /^(\d{1,2}) (\S+)$/.exec(line) ?? [];
      if (index === undefined || Number(index) >= MAX_KEYWORDS) continue;
      if (keyword !== undefined && KEYWORD.test(keyword)) keywords[Number(index)] = keyword;
    }
    return new KeywordLetters(folder, keywords);
  }

  /** Those that got a letter, which the file tells from then on; undefined where there are no more letters. */
  async letterFor(keyword: string): Promise<string | undefined> {
    const known = this.#keywords.findIndex((each) => each?.toLowerCase() === keyword.toLowerCase());
    if (known !== -1) return letterOf(known);
    const free = Array.from({ length: MAX_KEYWORDS }, (_, index) => index).find(
      (index) => this.#keywords[index] === undefined,
    );
    if (free === undefined) return undefined;
    this.#keywords[free] = keyword;
    const lines = this.#keywords.map((each, index) =>
      each === undefined ? '' : `${index} ${each}\n`,
    );
    await replaceFile(join(this.#folder, KEYWORDS_FILE), lines.join(''));
    return letterOf(free);
  }

  keywordOf(letter: string): string | undefined {
    return this.#keywords[letter.charCodeAt(0) - 0x61];
  }
}

/** Letters for flags, and the keywords that no letter is left for. */
export async function lettersFor(
  flags: readonly string[],
  keywords: KeywordLetters,
): Promise<{ letters: string; left: string[] }> {
  const letters: string[] = LETTERS.filter(([, flag]) => flags.includes(flag)).map(
    ([letter]) => letter,
  );
  const left: string[] = [];
  for (const keyword of flags.filter((flag) => !flag.startsWith('\\'))) {
    const letter = await keywords.letterFor(keyword);
    if (letter === undefined) left.push(keyword);
    else letters.push(letter);
  }
  return { letters: letters.toSorted().join(''), left };
}

export function flagsOf(letters: string, keywords: KeywordLetters): string[] {
  const flags = LETTERS.filter(([letter]) => letters.includes(letter)).map(([, flag]) => flag);
  if (letters.includes(PASSED)) flags.push(FORWARDED);
  for (const letter of letters) {
    const keyword = /[a-z]/.test(letter) ? keywords.keywordOf(letter) : undefined;
    if (keyword !== undefined && !flags.includes(keyword)) flags.push(keyword);
  }
  return flags;
}
