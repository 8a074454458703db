/**
 * How mailboxes are called in a folder of files: safe whatever their names are, no two alike even where
 * case is ignored, and with a way back. Pure. A mailbox's name is the store's, "/" between levels.
 */
import { createHash } from 'node:crypto';
import { decodeModifiedUtf7, encodeModifiedUtf7, INBOX } from '@mail/store';

/** File systems take 255 octets; what is added to a name must fit as well. */
const MAX_NAME_OCTETS = 200;

/** Names of files, by whoever made them: no way out of the folder, nothing hidden by accident. */
export function isSafeName(name: string): boolean {
  return (
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    !/[/\0]/.test(name) &&
    Buffer.byteLength(name) <= 255
  );
}

/**
 * A mailbox as a folder of a Maildir++: "" for INBOX, ".Work.Old" for "Work/Old". Levels are in modified
 * UTF-7 (what Dovecot reads unless it is told otherwise), in which the dot, which parts levels, is written
 * as an odd one; the index tells the name for certain.
 */
export function maildirFolder(mailbox: string): string {
  if (mailbox === INBOX) return '';
  const folder = mailbox
    .split('/')
    .map((level) => `.${encodeModifiedUtf7(level).replaceAll('.', '&AC4-')}`)
    .join('');
  return shorten(folder, '.long-');
}

/** A folder of a Maildir++ as a mailbox; names that are no modified UTF-7 are taken as they are: UTF-8. */
export function mailboxOfFolder(folder: string): string {
  if (folder === '') return INBOX;
  return folder
    .slice(1)
    .split('.')
    .map((level) => level.replaceAll('&AC4-', '.'))
    .map((level) => decodeModifiedUtf7(level) ?? level)
    .join('/');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it quotes
const QUOTED = /^\.|[%/\\:*?"<>|\x00-\x1f\x7f]|[. ]$/g;

/** Any text as the name of a file: what has a meaning to some system as "%2F". */
export function quoteName(text: string): string {
  const quoted = text.replaceAll(
    QUOTED,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  return shorten(quoted, 'long-');
}

export function unquoteName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** The first that is free of `wanted` and the like of it; `taken` has names in lower case. */
export function freeName(wanted: string, owner: string, taken: ReadonlySet<string>): string {
  if (!taken.has(foldName(wanted))) return wanted;
  for (let length = 8; ; length += 1) {
    const name = `${wanted}~${hash(owner).slice(0, length)}`;
    if (!taken.has(foldName(name))) return name;
  }
}

/** By which two names are one to some file system. */
export function foldName(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

function shorten(name: string, prefix: string): string {
  return Buffer.byteLength(name) <= MAX_NAME_OCTETS ? name : `${prefix}${hash(name).slice(0, 32)}`;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
