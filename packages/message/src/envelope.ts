/**
 * The ENVELOPE of a message (RFC 9051 §7.5.2): what a mailbox listing shows, taken from the header once
 * and stored. Data only: how it goes on the wire is imap's.
 */

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
