/** What a command is: the states it may come in, and what it does there. */
import { ReplyError } from '../errors.ts';
import type { Session } from '../session.ts';
import type { StateName } from '../state.ts';

export interface Reply {
  /** Behind "+OK ". */
  readonly text: string;
  /** Makes the response a multi-line one; octets as they are, dots not yet doubled. */
  readonly lines?: AsyncIterable<Buffer> | Iterable<Buffer>;
  /** What follows once the reply is out. */
  readonly next?: 'start-tls' | 'end';
}

export interface Command {
  readonly states: readonly StateName[];
  /** `argument` is what stands behind the verb and one blank. Throws ReplyError. */
  readonly handle: (session: Session, argument: string) => Promise<Reply> | Reply;
}

const MAX_NUMBER = 4_294_967_295;
/** Characters that go out in one piece. */
const ENCODE_AT = 16 * 1024;

/** A line as verb, in capitals, and what stands behind it and one blank (RFC 1939 §3). */
export function splitLine(line: string): { readonly verb: string; readonly argument: string } {
  const [, verb = '', argument = ''] = /^(\S*) ?(.*)$/s.exec(line) ?? [];
  return { verb: verb.toUpperCase(), argument };
}

/** Words of an argument, as many as wanted. Throws ReplyError. */
export function wordsOf(argument: string, least: number, most: number): string[] {
  const words = argument.split(' ').filter((word) => word !== '');
  if (words.length >= least && words.length <= most) return words;
  throw new ReplyError(undefined, 'Wrong number of arguments');
}

/** Throws ReplyError. */
export function numberOf(word: string | undefined): number {
  const number = /^\d{1,10}$/.test(word ?? '') ? Number(word) : Number.NaN;
  if (number <= MAX_NUMBER) return number;
  throw new ReplyError(undefined, 'That is no number');
}

export function requireNoArgument(argument: string): void {
  wordsOf(argument, 0, 0);
}

/** Lines of our own making. */
export function* encodeLines(lines: Iterable<string>): Generator<Buffer> {
  let pending = '';
  for (const line of lines) {
    pending += `${line}\r\n`;
    if (pending.length < ENCODE_AT) continue;
    yield Buffer.from(pending, 'latin1');
    pending = '';
  }
  yield Buffer.from(pending, 'latin1');
}
