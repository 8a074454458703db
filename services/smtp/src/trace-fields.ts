/**
 * What a message gets on top on its way in: Return-Path and Received (RFC 5321 §4.4), and on submission
 * Date and Message-ID where they are missing (RFC 6409 §8). Pure: clock and randomness are handed in.
 */
import { isIPv6 } from 'node:net';
import { headerFieldsOf } from '@mail/message';

/** What Received tells of the connection. */
export interface Hop {
  /** As the client called itself in EHLO or HELO. */
  readonly helo: string;
  readonly remoteAddress: string;
  /** Our own name. */
  readonly hostname: string;
  /** "ESMTPSA" (RFC 3848). */
  readonly protocol: string;
  readonly id: string;
  readonly tls:
    | { readonly version: string; readonly cipher: string; readonly generation: number }
    | undefined;
  /** Named where it is the only one: others must not see who else got a blind copy (RFC 5321 §7.2). */
  readonly recipients: readonly string[];
  readonly at: Date;
}

/** "Tue, 24 Nov 2026 11:57:45 +0000" (RFC 5322 §3.3). */
export function formatDate(at: Date): string {
  return at.toUTCString().replace('GMT', '+0000');
}

/** A domain or an address literal that a client gave; anything else could upset the field's syntax. */
const HELO_NAME =
  /^(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9_])?|\[[A-Za-z0-9:.]{2,80}\])$/;

/** The Received field, folded, with its line end. */
export function receivedField(hop: Hop): string {
  const literal = isIPv6(hop.remoteAddress) ? `IPv6:${hop.remoteAddress}` : hop.remoteAddress;
  const helo = HELO_NAME.test(hop.helo) ? hop.helo : 'unknown';
  const lines = [
    `Received: from ${helo} ([${literal}])`,
    `by ${hop.hostname} with ${hop.protocol} id ${hop.id}`,
  ];
  if (hop.recipients.length === 1) lines.push(`for <${hop.recipients[0]}>`);
  if (hop.tls !== undefined) {
    // the clause that RFC 8314 §4.3 registers
    const { cipher, version, generation } = hop.tls;
    lines.push(`tls ${cipher} (${version}, generation ${generation})`);
  }
  return `${lines.join('\r\n\t')};\r\n\t${formatDate(hop.at)}\r\n`;
}

/** `reversePath` is an envelope address, "" for the null path. */
export function returnPathField(reversePath: string): string {
  return `Return-Path: <${reversePath}>\r\n`;
}

/** What a message's own header says about what we add and count. */
export interface HeaderFacts {
  readonly hops: number;
  readonly hasDate: boolean;
  readonly hasMessageId: boolean;
  /** Where Return-Path fields lie, as [start, end) octets. */
  readonly returnPaths: readonly (readonly [number, number])[];
  /** Where the header ends: at the blank line, or at the end of the message. */
  readonly end: number;
}

export function examineHeader(raw: Buffer): HeaderFacts {
  let hops = 0;
  let hasDate = false;
  let hasMessageId = false;
  let end = 0;
  const returnPaths: [number, number][] = [];
  for (const field of headerFieldsOf(raw, 0, raw.length)) {
    // a first line that is no field is the body's, of a message without a header
    if (field.name === '' && field.start === 0) break;
    end = field.end;
    if (field.name === 'received') hops += 1;
    else if (field.name === 'date') hasDate = true;
    else if (field.name === 'message-id') hasMessageId = true;
    else if (field.name === 'return-path') returnPaths.push([field.start, field.end]);
  }
  return { hops, hasDate, hasMessageId, returnPaths, end };
}

/** `raw` without its Return-Path fields: the one at the top is ours alone (RFC 5321 §4.4). */
export function withoutReturnPaths(raw: Buffer, facts: HeaderFacts): Buffer[] {
  const kept: Buffer[] = [];
  let from = 0;
  for (const [start, end] of facts.returnPaths) {
    kept.push(raw.subarray(from, start));
    from = end;
  }
  kept.push(raw.subarray(from));
  return kept;
}

/** What RFC 6409 §8.1 and §8.2 let a submission server add; `unique` makes the Message-ID. */
export function missingFields(
  facts: HeaderFacts,
  at: Date,
  unique: string,
  hostname: string,
): string {
  const date = facts.hasDate ? '' : `Date: ${formatDate(at)}\r\n`;
  const id = facts.hasMessageId ? '' : `Message-ID: <${unique}@${hostname}>\r\n`;
  return date + id;
}
