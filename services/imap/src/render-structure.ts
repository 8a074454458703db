/** ENVELOPE, BODY and BODYSTRUCTURE as IMAP writes them (RFC 3501 §7.4.2, RFC 9051 §7.5.2). Pure. */
import type { Envelope, EnvelopeAddress, MessagePart, Parameter, PartFields } from '@mail/message';
import type { StringEncoder } from './strings.ts';

/** (name adl mailbox host); a group has no host (RFC 3501 §7.4.2). */
function renderAddress(address: EnvelopeAddress, strings: StringEncoder): string {
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

function renderAddresses(addresses: readonly EnvelopeAddress[], strings: StringEncoder): string {
  if (addresses.length === 0) return 'NIL';
  return `(${addresses.map((address) => renderAddress(address, strings)).join('')})`;
}

export function renderEnvelope(envelope: Envelope, strings: StringEncoder): string {
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

function renderList(texts: readonly string[], strings: StringEncoder): string {
  return texts.length === 0 ? 'NIL' : `(${texts.map((text) => strings.string(text)).join(' ')})`;
}

function renderParameters(parameters: readonly Parameter[], strings: StringEncoder): string {
  return renderList(parameters.flat(), strings);
}

function renderDisposition({ disposition }: PartFields, strings: StringEncoder): string {
  if (disposition === null) return 'NIL';
  const { type, parameters } = disposition;
  return `(${strings.string(type)} ${renderParameters(parameters, strings)})`;
}

function renderMultipart(
  part: MessagePart & { readonly kind: 'multipart' },
  extended: boolean,
  strings: StringEncoder,
): string {
  const children = part.children
    .map((child) => renderBodyStructure(child, extended, strings))
    .join('');
  const extension = [
    renderParameters(part.parameters, strings),
    renderDisposition(part, strings),
    renderList(part.languages, strings),
    strings.nullable(part.location),
  ];
  return `(${[children, strings.string(part.subtype), ...(extended ? extension : [])].join(' ')})`;
}

/**
 * BODYSTRUCTURE; without the extension data it is BODY. To IMAP4rev1, for which only message/rfc822 has an
 * envelope of its own here, message/global goes as a basic part (RFC 9051 §9, body-type-msg).
 */
export function renderBodyStructure(
  part: MessagePart,
  extended: boolean,
  strings: StringEncoder,
): string {
  if (part.kind === 'multipart') return renderMultipart(part, extended, strings);
  const fields = [
    strings.string(part.type),
    strings.string(part.subtype),
    renderParameters(part.parameters, strings),
    strings.nullable(part.id),
    strings.nullable(part.description),
    strings.string(part.encoding),
    `${part.bodyEnd - part.bodyStart}`,
  ];
  if (part.kind === 'message' && (part.subtype === 'rfc822' || strings.utf8)) {
    fields.push(renderEnvelope(part.envelope, strings));
    fields.push(renderBodyStructure(part.content, extended, strings));
    fields.push(`${part.lines}`);
  } else if (part.type === 'text') {
    fields.push(`${part.lines}`);
  }
  if (extended) {
    fields.push(strings.nullable(part.md5), renderDisposition(part, strings));
    fields.push(renderList(part.languages, strings), strings.nullable(part.location));
  }
  return `(${fields.join(' ')})`;
}
