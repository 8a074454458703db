/**
 * Names of mailboxes of other users (RFC 2342 §5): "Users/bob@example.org/Work" is Work of bob@example.org.
 * The names of an account's own mailboxes begin at the root; one that looks like these and was there before is
 * found before them. Pure.
 */
import { parseAddress } from '@mail/store';
import { DELIMITER } from '../parser/mailbox.ts';

/** What NAMESPACE tells. */
export const OTHER_USERS = `Users${DELIMITER}`;

export interface SharedName {
  /** An address, of an account perhaps. */
  readonly owner: string;
  /** What the owner calls it; may be empty, or no name at all. */
  readonly name: string;
}

/** What an address may have and a level of a name may not, and what they are written with. */
const ESCAPED = /[/%*=]/g;
const ESCAPE = /=([0-9A-F]{2})/g;

export function formatSharedName({ owner, name }: SharedName): string {
  const level = owner.replace(
    ESCAPED,
    (character) => `=${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${OTHER_USERS}${level}${DELIMITER}${name}`;
}

/** Undefined for a name that is the account's own affair. */
export function parseSharedName(text: string): SharedName | undefined {
  if (!text.startsWith(OTHER_USERS)) return undefined;
  const [level = '', ...levels] = text.slice(OTHER_USERS.length).split(DELIMITER);
  const owner = level.replace(ESCAPE, (_, octet: string) =>
    String.fromCharCode(Number.parseInt(octet, 16)),
  );
  return parseAddress(owner) && { owner, name: levels.join(DELIMITER) };
}
