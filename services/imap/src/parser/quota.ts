/** GETQUOTA root, SETQUOTA root (resource limit ...) (RFC 9208 §7); GETQUOTAROOT has a mailbox alone. */
import type { Lexer } from './lexer.ts';

/** The name of a quota root, which is UTF-8 where it is no ASCII. */
export function parseQuotaRoot(lexer: Lexer): string {
  lexer.space();
  return Buffer.from(lexer.astring(), 'latin1').toString('utf8');
}

export interface ResourceLimit {
  /** In upper case. */
  readonly resource: string;
  readonly limit: number;
}

export interface SetQuotaArguments {
  readonly root: string;
  readonly limits: readonly ResourceLimit[];
}

export function parseSetQuota(lexer: Lexer): SetQuotaArguments {
  const root = parseQuotaRoot(lexer);
  lexer.space();
  const limits = lexer.list(() => {
    const resource = lexer.word();
    lexer.space();
    return { resource, limit: lexer.number64() };
  });
  return { root, limits };
}
