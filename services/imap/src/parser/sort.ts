/** What SORT and THREAD ask for (RFC 5256 §5, RFC 5267 §5, RFC 5957 §5). Pure. */
import type { Lexer } from './lexer.ts';
import { parseCharset, parseKeys, parseReturn, type SearchingArguments } from './search.ts';

export const SORT_KEYS = [
  'ARRIVAL',
  'CC',
  'DATE',
  'DISPLAYFROM',
  'DISPLAYTO',
  'FROM',
  'SIZE',
  'SUBJECT',
  'TO',
] as const;
export type SortKey = (typeof SORT_KEYS)[number];

export interface SortCriterion {
  readonly key: SortKey;
  readonly reverse: boolean;
}

export interface SortArguments extends SearchingArguments {
  /** At least one; each key once, since only its first mention decides anything. */
  readonly criteria: readonly SortCriterion[];
}

export const THREAD_ALGORITHMS = ['ORDEREDSUBJECT', 'REFERENCES'] as const;
export type ThreadAlgorithm = (typeof THREAD_ALGORITHMS)[number];

export interface ThreadArguments extends SearchingArguments {
  readonly algorithm: ThreadAlgorithm;
  readonly returns: undefined;
}

function parseCriterion(lexer: Lexer): SortCriterion {
  const reverse = lexer.accept('REVERSE ');
  const word = lexer.word();
  const key = SORT_KEYS.find((one) => one === word) ?? lexer.fail('Unknown sort key');
  return { key, reverse };
}

/** The charset, which here has no word before it, and the keys. */
function parseSearched(lexer: Lexer): Pick<SearchingArguments, 'charset' | 'key'> {
  lexer.space();
  const charset = parseCharset(lexer);
  return { charset, key: parseKeys(lexer, charset) };
}

export function parseSort(lexer: Lexer): SortArguments {
  lexer.space();
  const wanted = parseReturn(lexer);
  const byKey = new Map<SortKey, SortCriterion>();
  for (const criterion of lexer.filledList(() => parseCriterion(lexer))) {
    if (!byKey.has(criterion.key)) byKey.set(criterion.key, criterion);
  }
  return { ...wanted, criteria: [...byKey.values()], ...parseSearched(lexer) };
}

export function parseThread(lexer: Lexer): ThreadArguments {
  lexer.space();
  const word = lexer.word();
  const algorithm =
    THREAD_ALGORITHMS.find((one) => one === word) ?? lexer.fail('Unknown threading algorithm');
  return { returns: undefined, algorithm, ...parseSearched(lexer) };
}
