/** ENVELOPE, BODY and BODYSTRUCTURE as IMAP writes them (RFC 3501 §7.4.2, RFC 9051 §7.5.2). Pure. */
import type { Envelope, EnvelopeAddress, MessagePart, Parameter, PartFields } from '@mail/message';
import { encodeNullable, encodeString } from './response.ts';

/** (name adl mailbox host); a group has no host (RFC 3501 §7.4.2). */
function renderAddress(address: EnvelopeAddress): string {
  switch (address.kind) {
    case 'mailbox': {
      const { name, route, mailbox, host } = address;
      const ends = `${encodeString(mailbox)} ${encodeString(host)}`;
      return `(${encodeNullable(name)} ${encodeNullable(route)} ${ends})`;
    }
    case 'group-start':
      return `(NIL NIL ${encodeString(address.name)} NIL)`;
    case 'group-end':
      return '(NIL NIL NIL NIL)';
  }
}

function renderAddresses(addresses: readonly EnvelopeAddress[]): string {
  return addresses.length === 0 ? 'NIL' : `(${addresses.map(renderAddress).join('')})`;
}

export function renderEnvelope(envelope: Envelope): string {
  const { date, subject, from, sender, replyTo, to, cc, bcc, inReplyTo, messageId } = envelope;
  const fields = [
    encodeNullable(date),
    encodeNullable(subject),
    ...[from, sender, replyTo, to, cc, bcc].map(renderAddresses),
    encodeNullable(inReplyTo),
    encodeNullable(messageId),
  ];
  return `(${fields.join(' ')})`;
}

function renderParameters(parameters: readonly Parameter[]): string {
  if (parameters.length === 0) return 'NIL';
  return `(${parameters.flatMap((parameter) => parameter.map(encodeString)).join(' ')})`;
}

function renderDisposition({ disposition }: PartFields): string {
  if (disposition === null) return 'NIL';
  return `(${encodeString(disposition.type)} ${renderParameters(disposition.parameters)})`;
}

function renderLanguages({ languages }: PartFields): string {
  return languages.length === 0 ? 'NIL' : `(${languages.map(encodeString).join(' ')})`;
}

function renderMultipart(
  part: MessagePart & { readonly kind: 'multipart' },
  extended: boolean,
): string {
  const children = part.children.map((child) => renderBodyStructure(child, extended)).join('');
  const extension = [
    renderParameters(part.parameters),
    renderDisposition(part),
    renderLanguages(part),
    encodeNullable(part.location),
  ];
  return `(${[children, encodeString(part.subtype), ...(extended ? extension : [])].join(' ')})`;
}

/**
 * BODYSTRUCTURE; without the extension data it is BODY. message/global goes as a basic part: to
 * IMAP4rev1 only message/rfc822 has an envelope of its own here.
 */
export function renderBodyStructure(part: MessagePart, extended: boolean): string {
  if (part.kind === 'multipart') return renderMultipart(part, extended);
  const fields = [
    encodeString(part.type),
    encodeString(part.subtype),
    renderParameters(part.parameters),
    encodeNullable(part.id),
    encodeNullable(part.description),
    encodeString(part.encoding),
    `${part.bodyEnd - part.bodyStart}`,
  ];
  if (part.kind === 'message' && part.subtype === 'rfc822') {
    fields.push(renderEnvelope(part.envelope), renderBodyStructure(part.content, extended));
    fields.push(`${part.lines}`);
  } else if (part.type === 'text') {
    fields.push(`${part.lines}`);
  }
  if (extended) {
    fields.push(encodeNullable(part.md5), renderDisposition(part));
    fields.push(renderLanguages(part), encodeNullable(part.location));
  }
  return `(${fields.join(' ')})`;
}
