/**
 * What the MIME fields of one part say, as BODYSTRUCTURE tells it (RFC 9051 §7.5.2, RFC 2045, 2183,
 * 3282, 2557). Data only: how it goes on the wire is imap's.
 */

/** Name in lower case, value without quotes; RFC 2231 names (`filename*0*`) stay as they are. */
export type Parameter = readonly [name: string, value: string];

export interface Disposition {
  /** "attachment", "inline", in lower case. */
  readonly type: string;
  readonly parameters: readonly Parameter[];
}

/** Text rules as in Envelope. */
export interface PartFields {
  /** Media type in lower case: "text". */
  readonly type: string;
  /** In lower case: "plain". */
  readonly subtype: string;
  readonly parameters: readonly Parameter[];
  /** Content-ID as written, with its angle brackets. */
  readonly id: string | null;
  readonly description: string | null;
  /** Content-Transfer-Encoding in lower case; "7bit" where none is given. */
  readonly encoding: string;
  readonly md5: string | null;
  readonly disposition: Disposition | null;
  /** Content-Language tags. */
  readonly languages: readonly string[];
  readonly location: string | null;
}
