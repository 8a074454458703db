/**
 * What stands between us and a certificate by ACME, in the CA's words where it has any (RFC 8555 §6.7), and
 * whether time alone may mend it.
 */
import { z } from 'zod';
import { DISK_FULL, RegistryError } from '../../errors.ts';
import { isDiskFull } from '../../sqlite.ts';

export type AcmeErrorCode =
  /** No answer: network, TLS, time-out. */
  | 'unreachable'
  /** An answer that RFC 8555 does not allow. */
  | 'bad-answer'
  /** A problem document. */
  | 'problem'
  /** The CA looked for the proof and was not satisfied. */
  | 'challenge-failed'
  /** We could not put the proof in place. */
  | 'proof-failed'
  /** Nobody can answer http-01. */
  | 'not-listening'
  /** The settings do not fit this CA. */
  | 'bad-setting'
  /** The CA took too long over an order. */
  | 'timed-out'
  /** The registry is stopping. */
  | 'stopped';

/** A problem document as far as it is of use (RFC 7807, RFC 8555 §6.7.1). */
export const problemSchema = z.object({
  type: z.string().default('about:blank'),
  detail: z.string().default(''),
  subproblems: z
    .array(
      z.object({
        detail: z.string().default(''),
        identifier: z.object({ value: z.string() }).optional(),
      }),
    )
    .default([]),
});
export type Problem = z.output<typeof problemSchema>;

export interface AcmeErrorDetails {
  readonly problem?: Problem;
  readonly status?: number;
  /** How long the CA wants to be left alone. */
  readonly retryAfterMs?: number;
}

export class AcmeError extends Error {
  readonly code: AcmeErrorCode;
  readonly problem: Problem | undefined;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  /** `message` is for the operator. */
  constructor(
    code: AcmeErrorCode,
    message: string,
    { problem, status, retryAfterMs, ...options }: AcmeErrorDetails & ErrorOptions = {},
  ) {
    super(message, options);
    this.name = 'AcmeError';
    this.code = code;
    this.problem = problem;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  /** "rateLimited"; empty where the CA named no type of its own. */
  get problemType(): string {
    return shortType(this.problem);
  }

  get rateLimited(): boolean {
    return this.status === 429 || this.problemType === 'rateLimited';
  }

  /** Only an operator can mend it: tried again all the same, on the slow schedule. */
  get permanent(): boolean {
    if (this.code === 'bad-setting') return true;
    return !this.rateLimited && PERMANENT.has(this.problemType);
  }
}

/** Of RFC 8555 §6.7, and invalidProfile of draft-ietf-acme-profiles. */
const PERMANENT: ReadonlySet<string> = new Set([
  'badCSR',
  'badPublicKey',
  'caa',
  'externalAccountRequired',
  'invalidContact',
  'invalidProfile',
  'malformed',
  'rejectedIdentifier',
  'unauthorized',
  'unsupportedContact',
  'unsupportedIdentifier',
  'userActionRequired',
]);

const TYPE_PREFIX = 'urn:ietf:params:acme:error:';
/** Characters of one text of the CA's in our messages. */
const MAX_TEXT = 300;
const MAX_SUBPROBLEMS = 3;

function shortType(problem: Problem | undefined): string {
  const type = problem?.type ?? '';
  return type.startsWith(TYPE_PREFIX) ? type.slice(TYPE_PREFIX.length) : '';
}

/** What an operator is told of an error: a bug in no words of its own. */
export function reasonOf(error: unknown): string {
  if (error instanceof AcmeError || error instanceof RegistryError) return error.message;
  return isDiskFull(error) ? DISK_FULL : 'a fault of the registry, which its log tells';
}

/** One line, bounded; nothing in it acts on a terminal. */
export function plainText(text: string, most: number = MAX_TEXT): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim();
  return line.length <= most ? line : `${line.slice(0, most)}…`;
}

/** "rejectedIdentifier: no such TLD (mail.invalid: …)". */
export function describeProblem(problem: Problem): string {
  const parts = problem.subproblems.slice(0, MAX_SUBPROBLEMS).map(({ identifier, detail }) => {
    const of = identifier === undefined ? '' : `${plainText(identifier.value)}: `;
    return `${of}${plainText(detail)}`;
  });
  const details = parts.length === 0 ? '' : ` (${parts.join('; ')})`;
  const type = shortType(problem) || plainText(problem.type);
  return `${type}: ${plainText(problem.detail)}${details}`;
}
