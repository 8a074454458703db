/** Pages of results (RFC 9394 §4): "1:100" from the first, "-1:-100" from the last. Pure. */
import type { Lexer } from './lexer.ts';

/** Both above zero, or both below: then they count from the end. In either order. */
export interface PartialRange {
  readonly from: number;
  readonly to: number;
}

export function parsePartialRange(lexer: Lexer): PartialRange {
  const sign = lexer.accept('-') ? -1 : 1;
  const from = sign * lexer.positive();
  lexer.expect(sign === 1 ? ':' : ':-');
  return { from, to: sign * lexer.positive() };
}

/** As the client wrote it. */
export function formatPartialRange({ from, to }: PartialRange): string {
  return `${from}:${to}`;
}

/** What of `results` is on that page, in their order. */
export function pageOf<T>({ from, to }: PartialRange, results: readonly T[]): T[] {
  const near = Math.min(Math.abs(from), Math.abs(to));
  const far = Math.max(Math.abs(from), Math.abs(to));
  if (from > 0) return results.slice(near - 1, far);
  const end = results.length + 1 - near;
  return results.slice(Math.max(0, results.length - far), Math.max(0, end));
}
