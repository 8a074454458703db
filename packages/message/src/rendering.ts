/**
 * ENVELOPE, BODY and BODYSTRUCTURE as IMAP writes them (RFC 3501 §7.4.2, RFC 9051 §7.5.2), for one client or,
 * where they are the same for all, once and for all. Pure.
 */
import type { Parameter, PartFields } from './body-structure.ts';
import type { Envelope, EnvelopeAddress } from './envelope.ts';
import { ImapStrings } from './imap-strings.ts';
import { decodeParameters } from './parameter-values.ts';
import type { MessagePart, MessageStructure, MultipartPart } from './structure.ts';

/** What a client has enabled, as far as structures differ by it. */
export interface RenderingMode {
  readonly strings: ImapStrings;
  /** IMAP4rev2: parameters are told decoded (RFC 9051 §7.5.2). */
  readonly rev2: boolean;
}

/**
 * The items of one message that are the same for every client, ready to be sent. ASCII without NUL; CR and LF
 * are in it only where a long string begins as a literal.
 */
export interface PlainRendering {
  /** Undefined where some text in it is 8-bit. */
  readonly envelope: string | undefined;
  /** Undefined for such texts, and for what RenderingMode tells differently. */
  readonly bodyStructure: string | undefined;
}

const OLDEST: RenderingMode = { strings: new ImapStrings(false), rev2: false };
const NEWEST: RenderingMode = { strings: new ImapStrings(true), rev2: true };
export function renderPlain({ envelope, root }: MessageStructure): PlainRendering {
  return {
    envelope: plain(({ strings }) => renderEnvelope(envelope, strings)),
    bodyStructure: plain((mode) => renderBodyStructure(root, mode)),
  };
}

/** A text that the two extremes have alike is what all others have. */
function plain(render: (mode: RenderingMode) => string): string | undefined {
  const text = render(OLDEST);
  const isAscii = Buffer.byteLength(text) === text.length;
  return isAscii && text === render(NEWEST) ? text : undefined;
}

/** ENVELOPE. */
export function renderEnvelope(envelope: Envelope, strings: ImapStrings): string {
  const { date, subject, from, sender, replyTo, to, cc, bcc, inReplyTo, messageId } = envelope;
  const fields = [
    strings.nullable(date),
    strings.nullable(subject),
    ...[from, sender, replyTo, to, cc, bcc].map((list) => renderAddresses(list, strings)),
    strings.nullable(inReplyTo),
    strings.nullable(messageId),
  ];
  return `(${fields.join(' ')})`;
}

function renderAddresses(addresses: readonly EnvelopeAddress[], strings: ImapStrings): string {
  if (addresses.length === 0) return 'NIL';
  return `(${addresses.map((address) => renderAddress(address, strings)).join('')})`;
}

/** (name adl mailbox host); a group has no host (RFC 3501 §7.4.2). */
function renderAddress(address: EnvelopeAddress, strings: ImapStrings): string {
  switch (address.kind) {
    case 'mailbox': {
      const { name, route, mailbox, host } = address;
      const ends = `${strings.string(mailbox)} ${strings.string(host)}`;
      return `(${strings.nullable(name)} ${strings.nullable(route)} ${ends})`;
    }
    case 'group-start':
      return `(NIL NIL ${strings.string(address.name)} NIL)`;
    case 'group-end':
      return '(NIL NIL NIL NIL)';
  }
}

/** BODY: BODYSTRUCTURE without the extension data. */
export function renderBody(part: MessagePart, mode: RenderingMode): string {
  return renderPart(part, mode, false);
}

/** BODYSTRUCTURE. */
export function renderBodyStructure(part: MessagePart, mode: RenderingMode): string {
  return renderPart(part, mode, true);
}

/**
 * To clients without UTF-8, for which only message/rfc822 has an envelope of its own here, message/global goes
 * as a basic part.
 */
function renderPart(part: MessagePart, mode: RenderingMode, extended: boolean): string {
  if (part.kind === 'multipart') return renderMultipart(part, mode, extended);
  const { strings } = mode;
  const fields = [
    strings.string(part.type),
    strings.string(part.subtype),
    renderParameters(part.parameters, mode),
    strings.nullable(part.id),
    strings.nullable(part.description),
    strings.string(part.encoding),
    `${part.bodyEnd - part.bodyStart}`,
  ];
  if (part.kind === 'message' && (part.subtype === 'rfc822' || strings.utf8)) {
    fields.push(renderEnvelope(part.envelope, strings), renderPart(part.content, mode, extended));
    fields.push(`${part.lines}`);
  } else if (part.type === 'text') {
    fields.push(`${part.lines}`);
  }
  if (extended) fields.push(strings.nullable(part.md5), ...renderExtension(part, mode));
  return `(${fields.join(' ')})`;
}

function renderMultipart(part: MultipartPart, mode: RenderingMode, extended: boolean): string {
  const children = part.children.map((child) => renderPart(child, mode, extended)).join('');
  const fields = [children, mode.strings.string(part.subtype)];
  if (extended) {
    fields.push(renderParameters(part.parameters, mode), ...renderExtension(part, mode));
  }
  return `(${fields.join(' ')})`;
}

/** What every part's extension data ends with. */
function renderExtension(
  { disposition, languages, location }: PartFields,
  mode: RenderingMode,
): string[] {
  const { strings } = mode;
  const how =
    disposition === null
      ? 'NIL'
      : `(${strings.string(disposition.type)} ${renderParameters(disposition.parameters, mode)})`;
  return [how, renderList(languages, strings), strings.nullable(location)];
}

function renderParameters(
  parameters: readonly Parameter[],
  { strings, rev2 }: RenderingMode,
): string {
  return renderList((rev2 ? decodeParameters(parameters) : parameters).flat(), strings);
}

function renderList(texts: readonly string[], strings: ImapStrings): string {
  if (texts.length === 0) return 'NIL';
  return `(${texts.map((text) => strings.string(text)).join(' ')})`;
}
