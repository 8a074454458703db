/** ENVELOPE, BODY and BODYSTRUCTURE as IMAP writes them (RFC 3501 §7.4.2, RFC 9051 §7.5.2). Pure. */
import {
  decodeParameters,
  type Envelope,
  type EnvelopeAddress,
  type MessagePart,
  type MultipartPart,
  type Parameter,
  type PartFields,
} from '@mail/message';
import type { StringEncoder } from './strings.ts';

export class StructureRenderer {
  readonly #strings: StringEncoder;
  readonly #rev2: boolean;

  /** `rev2` for clients that have enabled it: parameters are told decoded (RFC 9051 §7.5.2). */
  constructor(strings: StringEncoder, rev2: boolean) {
    this.#strings = strings;
    this.#rev2 = rev2;
  }

  envelope(envelope: Envelope): string {
    const strings = this.#strings;
    const { date, subject, from, sender, replyTo, to, cc, bcc, inReplyTo, messageId } = envelope;
    const fields = [
      strings.nullable(date),
      strings.nullable(subject),
      ...[from, sender, replyTo, to, cc, bcc].map((addresses) => this.#addresses(addresses)),
      strings.nullable(inReplyTo),
      strings.nullable(messageId),
    ];
    return `(${fields.join(' ')})`;
  }

  #addresses(addresses: readonly EnvelopeAddress[]): string {
    if (addresses.length === 0) return 'NIL';
    return `(${addresses.map((address) => this.#address(address)).join('')})`;
  }

  /** (name adl mailbox host); a group has no host (RFC 3501 §7.4.2). */
  #address(address: EnvelopeAddress): string {
    const strings = this.#strings;
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

  /**
   * BODYSTRUCTURE; without the extension data it is BODY. To clients without UTF-8, for which only
   * message/rfc822 has an envelope of its own here, message/global goes as a basic part.
   */
  body(part: MessagePart, extended: boolean): string {
    if (part.kind === 'multipart') return this.#multipart(part, extended);
    const strings = this.#strings;
    const fields = [
      strings.string(part.type),
      strings.string(part.subtype),
      this.#parameters(part.parameters),
      strings.nullable(part.id),
      strings.nullable(part.description),
      strings.string(part.encoding),
      `${part.bodyEnd - part.bodyStart}`,
    ];
    if (part.kind === 'message' && (part.subtype === 'rfc822' || strings.utf8)) {
      fields.push(this.envelope(part.envelope), this.body(part.content, extended));
      fields.push(`${part.lines}`);
    } else if (part.type === 'text') {
      fields.push(`${part.lines}`);
    }
    if (extended) {
      fields.push(strings.nullable(part.md5), this.#disposition(part));
      fields.push(this.#list(part.languages), strings.nullable(part.location));
    }
    return `(${fields.join(' ')})`;
  }

  #multipart(part: MultipartPart, extended: boolean): string {
    const fields = [
      part.children.map((child) => this.body(child, extended)).join(''),
      this.#strings.string(part.subtype),
    ];
    if (extended) {
      fields.push(this.#parameters(part.parameters), this.#disposition(part));
      fields.push(this.#list(part.languages), this.#strings.nullable(part.location));
    }
    return `(${fields.join(' ')})`;
  }

  #parameters(parameters: readonly Parameter[]): string {
    return this.#list((this.#rev2 ? decodeParameters(parameters) : parameters).flat());
  }

  #disposition({ disposition }: PartFields): string {
    if (disposition === null) return 'NIL';
    return `(${this.#strings.string(disposition.type)} ${this.#parameters(disposition.parameters)})`;
  }

  #list(texts: readonly string[]): string {
    if (texts.length === 0) return 'NIL';
    return `(${texts.map((text) => this.#strings.string(text)).join(' ')})`;
  }
}
