/**
 * Names of messages in a Maildir. Ours tell mailbox and UID, so that a second export finds what the first
 * has written, and the internal date to the millisecond, which copying files would lose. Pure.
 */
import type { MessageSummary } from '@mail/store';

const OURS = /^(-?\d{1,15})\.M(\d{1,3})V(\d{1,10})U(\d{1,10})\.concert(?:,S=(\d+))?/;

export interface OurName {
  readonly uid: number;
  readonly internalDate: Date;
  /** Octets of the file. */
  readonly size: number | undefined;
}

/** Without sizes and flags: what stays the same. */
export function baseName(uidValidity: number, { uid, internalDate }: MessageSummary): string {
  const ms = internalDate.getTime();
  const seconds = Math.floor(ms / 1000);
  return `${seconds}.M${ms - seconds * 1000}V${uidValidity}U${uid}.concert`;
}

export function parseOurName(name: string): OurName | undefined {
  const [whole, seconds, ms, , uid, size] = OURS.exec(name) ?? [];
  if (whole === undefined) return undefined;
  return {
    uid: Number(uid),
    internalDate: new Date(Number(seconds) * 1000 + Number(ms)),
    size: size === undefined ? undefined : Number(size),
  };
}

/** The letters behind ":2,"; where a file system has no colon, some write ";" or "!". */
export function splitInfo(name: string): { base: string; letters: string } {
  const [, base = name, letters = ''] = /^(.*)[:;!]2,([^:;!]*)$/.exec(name) ?? [];
  return { base, letters };
}
