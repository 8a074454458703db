/**
 * The wildcards of LIST (RFC 3501 §6.3.8): "*" stands for anything, "%" for anything within one level.
 * Pure; in time bounded by the product of the lengths, whatever the pattern.
 */
import { DELIMITER } from './parser/mailbox.ts';

const ANYTHING = '*'.charCodeAt(0);
const WITHIN_LEVEL = '%'.charCodeAt(0);
const END_OF_LEVEL = DELIMITER.charCodeAt(0);

export class ListPattern {
  readonly #codes: Uint16Array;
  readonly #capitals: Uint16Array;
  readonly #wildcards: readonly number[];
  /** At i: what has been read of a name can be matched by the first i characters of the pattern. */
  readonly #reached: Uint8Array;

  constructor(pattern: string) {
    // a row of wildcards is one of them: "*", if it is among them
    const characters = pattern
      .replaceAll(/[*%]{2,}/g, (row) => (row.includes('*') ? '*' : '%'))
      .split('');
    this.#codes = Uint16Array.from(characters, (one) => one.charCodeAt(0));
    this.#capitals = Uint16Array.from(characters, (one) => one.toUpperCase().charCodeAt(0));
    this.#wildcards = characters.flatMap((one, at) => (one === '*' || one === '%' ? [at] : []));
    this.#reached = new Uint8Array(characters.length + 1);
  }

  /** In characters, rows of wildcards being one. */
  get length(): number {
    return this.#codes.length;
  }

  /**
   * Whether `name` as a whole is what the pattern describes. Of the first `folded` characters of `name`,
   * which are capitals, case does not matter.
   */
  matches(name: string, folded = 0): boolean {
    const reached = this.#reached.fill(0);
    reached[0] = 1;
    this.#spreadOverWildcards();
    for (let at = 0; at < name.length; at += 1) {
      const expected = at < folded ? this.#capitals : this.#codes;
      if (!this.#read(name.charCodeAt(at), expected)) return false;
    }
    return reached[this.length] === 1;
  }

  /** Takes the next character of the name in; false where nothing can match any more. */
  #read(code: number, expected: Uint16Array): boolean {
    const reached = this.#reached;
    let alive = false;
    reached[this.length] = 0;
    // from the end, so that nothing moves twice
    for (let index = this.length - 1; index >= 0; index -= 1) {
      if (reached[index] === 0) continue;
      const one = expected[index];
      const stays = one === ANYTHING || (one === WITHIN_LEVEL && code !== END_OF_LEVEL);
      if (!stays) reached[index] = 0;
      if (one === code) reached[index + 1] = 1;
      if (stays || one === code) alive = true;
    }
    this.#spreadOverWildcards();
    return alive;
  }

  /** A wildcard may stand for nothing. */
  #spreadOverWildcards(): void {
    const reached = this.#reached;
    for (const index of this.#wildcards) if (reached[index] === 1) reached[index + 1] = 1;
  }
}
