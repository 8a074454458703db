/**
 * The MIME tree of a message with octet offsets into its raw form: computed once at delivery, stored as
 * JSON, and enough to answer ENVELOPE, BODYSTRUCTURE and every BODY[section] without parsing again.
 */
import type { PartFields } from './body-structure.ts';
import type { Envelope } from './envelope.ts';

/** Where a part lies. Offsets are octets from the start of the whole message; ends are exclusive. */
export interface PartRange {
  readonly headerStart: number;
  /** First octet behind the blank line; the header, with that line, is [headerStart, bodyStart). */
  readonly bodyStart: number;
  /** The line break in front of a boundary belongs to the boundary, not to the body (RFC 2046 §5.1.1). */
  readonly bodyEnd: number;
  /** Lines of the body, an unterminated last one included. */
  readonly lines: number;
}

export interface LeafPart extends PartRange, PartFields {
  readonly kind: 'leaf';
}

/** multipart/*: always has at least one child, as the grammar of BODYSTRUCTURE wants. */
export interface MultipartPart extends PartRange, PartFields {
  readonly kind: 'multipart';
  readonly children: readonly MessagePart[];
}

/** message/rfc822 and message/global. `content` is the embedded message; it fills the body. */
export interface EmbeddedMessagePart extends PartRange, PartFields {
  readonly kind: 'message';
  readonly envelope: Envelope;
  readonly content: MessagePart;
}

export type MessagePart = LeafPart | MultipartPart | EmbeddedMessagePart;

export interface MessageStructure {
  /** Of this format, for stored ones. */
  readonly version: 1;
  /** Octets of the whole message. */
  readonly size: number;
  readonly envelope: Envelope;
  /** The message itself: its header and body. */
  readonly root: MessagePart;
}
