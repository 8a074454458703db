/** The head of a command: its tag and verb (RFC 3501 §9: command), and arguments of the small ones. */
import { ImapSyntaxError } from '../errors.ts';
import type { Lexer } from './lexer.ts';
import { parseOneMailbox } from './mailbox.ts';
import { type MessageSet, parseMessageSet } from './sequence-set.ts';

/** The verb in upper case; "UID FETCH" and the like are one verb. */
export function parseVerb(lexer: Lexer): string {
  lexer.space();
  const verb = lexer.word();
  return verb === 'UID' && lexer.accept(' ') ? `UID ${lexer.word()}` : verb;
}

/** Of commands without arguments. */
export function parseNothing(): undefined {
  return undefined;
}

export interface LoginArguments {
  readonly user: string;
  readonly password: string;
}

const fromUtf8 = (octets: string): string => Buffer.from(octets, 'latin1').toString('utf8');

/** RFC 3501 §6.2.3. */
export function parseLogin(lexer: Lexer): LoginArguments {
  lexer.space();
  const user = fromUtf8(lexer.astring());
  lexer.space();
  return { user, password: fromUtf8(lexer.astring()) };
}

export interface AuthenticateArguments {
  /** In upper case. */
  readonly mechanism: string;
  /** In base64, "=" for an empty one (RFC 4959 §3). */
  readonly initialResponse: string | undefined;
}

export function parseAuthenticate(lexer: Lexer): AuthenticateArguments {
  lexer.space();
  const mechanism = lexer.word();
  return { mechanism, initialResponse: lexer.accept(' ') ? lexer.base64() : undefined };
}

export interface CopyArguments {
  readonly set: MessageSet;
  readonly mailbox: string;
}

/** Of COPY and MOVE, and of both with UID (RFC 3501 §6.4.7, RFC 6851 §3). */
export function parseCopy(lexer: Lexer): CopyArguments {
  lexer.space();
  const set = parseMessageSet(lexer);
  return { set, mailbox: parseOneMailbox(lexer) };
}

/** RFC 4315 §2.1. */
export function parseUidExpunge(lexer: Lexer): MessageSet {
  lexer.space();
  return parseMessageSet(lexer);
}

/** RFC 2971 §3.3: at most 30 pairs, names of 30 octets, values of 1024. */
const ID_LIMITS = { pairs: 30, nameOctets: 30, valueOctets: 1024 };

/** What a client says of itself: names and values; empty for NIL. */
export function parseId(lexer: Lexer): ReadonlyMap<string, string> {
  lexer.space();
  const fields = new Map<string, string>();
  if (lexer.peek() !== '(') {
    lexer.expect('NIL');
    return fields;
  }
  const tooLong = (message: string) => new ImapSyntaxError('too-long', message);
  lexer.list(() => {
    const name = lexer.string();
    lexer.space();
    const value = lexer.nstring() ?? '';
    if (name.length > ID_LIMITS.nameOctets) throw tooLong('Field name too long');
    if (value.length > ID_LIMITS.valueOctets) throw tooLong('Field value too long');
    if (fields.size === ID_LIMITS.pairs) throw new ImapSyntaxError('too-many', 'Too many fields');
    fields.set(name.toLowerCase(), value);
  });
  return fields;
}
