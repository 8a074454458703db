/**
 * The ENVELOPE of a message (RFC 9051 §7.5.2): what a mailbox listing shows, taken from the header once
 * and stored. Data only: how it goes on the wire is imap's.
 */
import { parseAddressList } from './addresses.ts';
import type { FieldTexts } from './structure.ts';

/**
 * One item of an address list. Groups are flattened as IMAP wants them: a start marker with the
 * group's name, the members, an end marker.
 */
export type EnvelopeAddress =
  | {
      readonly kind: 'mailbox';
      /** Display name without quotes; RFC 2047 words as they are. */
      readonly name: string | null;
      /** Obsolete source route ("@a,@b"), the `adl` of IMAP. */
      readonly route: string | null;
      /** Local part without quotes. */
      readonly mailbox: string;
      /** Empty where the address has no domain. */
      readonly host: string;
    }
  | { readonly kind: 'group-start'; readonly name: string }
  | { readonly kind: 'group-end' };

/**
 * Text is unfolded, trimmed, with RFC 2047 words as they are, and holds no CR, LF or NUL; 8-bit octets
 * are read as UTF-8, or as Latin-1 where they are none. A field that is missing is null (texts) or
 * empty (lists). `sender` and `replyTo` already fall back to `from`.
 */
export interface Envelope {
  /** The Date field as written. */
  readonly date: string | null;
  readonly subject: string | null;
  readonly from: readonly EnvelopeAddress[];
  readonly sender: readonly EnvelopeAddress[];
  readonly replyTo: readonly EnvelopeAddress[];
  readonly to: readonly EnvelopeAddress[];
  readonly cc: readonly EnvelopeAddress[];
  readonly bcc: readonly EnvelopeAddress[];
  readonly inReplyTo: string | null;
  readonly messageId: string | null;
}

/** Those that are lists of addresses. */
export const ADDRESS_FIELDS = ['from', 'sender', 'reply-to', 'to', 'cc', 'bcc'] as const;

export const ENVELOPE_FIELDS = [
  'date',
  'subject',
  ...ADDRESS_FIELDS,
  'in-reply-to',
  'message-id',
] as const;

/** Lists that are given twice are joined; of other fields the first counts. */
export function readEnvelope(fields: FieldTexts): Envelope {
  const text = (name: string) => fields.get(name)?.[0] ?? null;
  const addresses = (name: string) => parseAddressList(fields.get(name)?.join(', ') ?? '');
  const from = addresses('from');
  const sender = addresses('sender');
  const replyTo = addresses('reply-to');
  return {
    date: text('date'),
    subject: text('subject'),
    from,
    // RFC 9051 §7.5.2: the server fills these in
    sender: sender.length > 0 ? sender : from,
    replyTo: replyTo.length > 0 ? replyTo : from,
    to: addresses('to'),
    cc: addresses('cc'),
    bcc: addresses('bcc'),
    inReplyTo: text('in-reply-to'),
    messageId: text('message-id'),
  };
}
