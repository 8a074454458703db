/**
 * The wildcards of LIST (RFC 3501 §6.3.8): "*" stands for anything, "%" for anything within one level.
 * Pure; in time bounded by the product of the lengths, whatever the pattern.
 */
import { DELIMITER } from './parser/mailbox.ts';

/**
 * Whether `name` as a whole is what `pattern` describes. Of the first `folded` characters of `name`,
 * which are capitals, case does not matter.
 */
export function matchesPattern(name: string, pattern: string, folded = 0): boolean {
  // reached[i]: what has been read of the name can be matched by the first i characters of the pattern
  let reached = new Uint8Array(pattern.length + 1);
  reached[0] = 1;
  spreadOverWildcards(reached, pattern);
  for (const [at, character] of name.split('').entries()) {
    const next = new Uint8Array(pattern.length + 1);
    for (let index = 0; index < pattern.length; index += 1) {
      if (reached[index] === 0) continue;
      const expected = pattern[index];
      if (expected === '*' || (expected === '%' && character !== DELIMITER)) next[index] = 1;
      else if (expected === character || (at < folded && expected?.toUpperCase() === character)) {
        next[index + 1] = 1;
      }
    }
    spreadOverWildcards(next, pattern);
    reached = next;
  }
  return reached[pattern.length] === 1;
}

/** A wildcard may stand for nothing. */
function spreadOverWildcards(reached: Uint8Array, pattern: string): void {
  for (let index = 0; index < pattern.length; index += 1) {
    const wildcard = pattern[index] === '*' || pattern[index] === '%';
    if (wildcard && reached[index] === 1) reached[index + 1] = 1;
  }
}
