/** Mailbox names: their one spelling, their limits, their levels (RFC 9051 §5.1). */
import { StoreError } from './errors.ts';

export const INBOX = 'INBOX';
const SEPARATOR = '/';

/** Names travel in every LIST line, so both figures are small. */
const MAX_NAME_OCTETS = 1000;
const MAX_LEVELS = 32;

/** Control characters and line breaks (RFC 5198 §2), and LIST's wildcards. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it keeps out
const FORBIDDEN = /[\x00-\x1f\x7f-\x9f\u2028\u2029%*]/u;

/** The spelling that is stored: NFC, INBOX in capitals. Undefined for what names no mailbox. */
export function parseMailboxName(text: string): string | undefined {
  if (text.length > MAX_NAME_OCTETS || !text.isWellFormed()) return undefined;
  const levels = text.normalize('NFC').split(SEPARATOR);
  if (levels.length > MAX_LEVELS || levels.some((level) => level === '')) return undefined;
  if (levels[0]?.toUpperCase() === INBOX) levels[0] = INBOX;
  const name = levels.join(SEPARATOR);
  if (FORBIDDEN.test(name) || Buffer.byteLength(name) > MAX_NAME_OCTETS) return undefined;
  return name;
}

/** Throws StoreError (bad-mailbox-name). */
export function requireMailboxName(text: string): string {
  const name = parseMailboxName(text);
  if (name !== undefined) return name;
  throw new StoreError(
    'bad-mailbox-name',
    'a mailbox name has 1 to 32 levels between "/", no control character, no "%" or "*", and at most 1000 octets',
  );
}

/** "a/b/c" has the superiors "a" and "a/b". */
export function superiorsOf(name: string): string[] {
  const levels = name.split(SEPARATOR);
  return levels.slice(1).map((_, index) => levels.slice(0, index + 1).join(SEPARATOR));
}

export function isInferior(name: string, superior: string): boolean {
  return name.startsWith(superior + SEPARATOR);
}

/** INBOX first, then by code unit. */
export function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  if (a === INBOX || b === INBOX) return a === INBOX ? -1 : 1;
  return a < b ? -1 : 1;
}
