/**
 * DNS messages (RFC 1035 §4) by dns-packet, and nothing else of ours imports it. What comes from a server
 * may be anything: whatever dns-packet throws over it is DnsError (bad-answer) here.
 */
import dnsPacket, { type Answer, type DecodedPacket, type RecordType } from 'dns-packet';
import { DnsError } from './errors.ts';

/** Exported by dns-packet, and not in its types. */
declare module 'dns-packet' {
  interface Codec<T> {
    encode: ((value: T, into?: Buffer, offset?: number) => Buffer) & { bytes: number };
    decode: ((from: Buffer, offset?: number) => T) & { bytes: number };
    encodingLength: (value: T) => number;
  }
  const name: Codec<string>;
  const question: Codec<Question>;
  const answer: Codec<Answer>;
}

export type { Answer, RecordType };

/** Offsets into the header, RFC 1035 §4.1.1; RFC 2136 calls the third count UPCOUNT. */
const NSCOUNT_AT = 8;
const ARCOUNT_AT = 10;
const HEADER_BYTES = 12;
/** Of a record's class, after its name and type. */
const CLASS_AT = 2;
const CLASS_NONE = 254;
const OPCODE_UPDATE = 5 << 11;

/** What answers by UDP may take: no path fragments it (DNS Flag Day 2020). */
export const UDP_BYTES = 1232;
/** Of an answer by TCP. Some hundred records fit. */
export const TCP_BYTES = 16 * 1024;

const MAX_LABEL = 63;
const MAX_NAME = 253;
const LABEL = /^[!-[\]-~]+$/;

/** In lower case, without the last dot. Throws DnsError (bad-name). */
export function checkName(name: string): string {
  const trimmed = name.replace(/\.$/, '').toLowerCase();
  const labels = trimmed.split('.');
  const fits = labels.every((label) => label.length <= MAX_LABEL && LABEL.test(label));
  if (fits && trimmed.length <= MAX_NAME) return trimmed;
  throw new DnsError('bad-name', `"${name.slice(0, 100)}" is no name that DNS can carry`);
}

export interface Question {
  /** As checkName gives it. */
  readonly name: string;
  readonly type: RecordType;
}

/** With EDNS and DO, so that a validating resolver says whether it has validated (RFC 4035 §3.2). */
export function encodeQuery(id: number, { name, type }: Question, recursion: boolean): Buffer {
  return dnsPacket.encode({
    type: 'query',
    id,
    flags: recursion ? dnsPacket.RECURSION_DESIRED | dnsPacket.AUTHENTIC_DATA : 0,
    questions: [{ name, type }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: UDP_BYTES,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: dnsPacket.DNSSEC_OK,
        flag_do: true,
        options: [],
      },
    ],
  });
}

/** An update's change of one record (RFC 2136 §2.5.1, §2.5.4). */
export interface RecordChange {
  readonly action: 'add' | 'remove';
  readonly record: Answer;
}

/** Without a signature. Names of records are as checkName gives them. */
export function encodeUpdate(id: number, zone: string, changes: readonly RecordChange[]): Buffer {
  const head = dnsPacket.encode({
    type: 'query',
    id,
    flags: OPCODE_UPDATE,
    questions: [{ name: zone, type: 'SOA' }],
  });
  head.writeUInt16BE(changes.length, NSCOUNT_AT);
  return Buffer.concat([head, ...changes.map(encodeChange)]);
}

function encodeChange({ action, record }: RecordChange): Buffer {
  const encoded = dnsPacket.answer.encode(record);
  if (action === 'remove') {
    // a class that dns-packet has no word for
    encoded.writeUInt16BE(CLASS_NONE, dnsPacket.name.encodingLength(record.name) + CLASS_AT);
  }
  return encoded;
}

export type Message = DecodedPacket & { readonly opcode: string; readonly rcode: string };

/** Throws DnsError (bad-answer). */
export function decodeMessage(bytes: Buffer): Message {
  return reading(() => {
    const message = dnsPacket.decode(bytes);
    if (!isWhole(message)) throw new Error('no opcode or rcode');
    return message;
  });
}

/** Both are in dns-packet's answer, and not in its types. */
function isWhole(message: DecodedPacket): message is Message {
  return 'opcode' in message && 'rcode' in message;
}

/** "NOERROR", "NXDOMAIN", "BADVERS"; with the upper bits that EDNS has (RFC 6891 §6.1.3). */
export function rcodeOf({ rcode, additionals = [] }: Message): string {
  const upper = additionals.find((record) => record.type === 'OPT')?.extendedRcode ?? 0;
  if (upper === 0) return rcode;
  return upper === 1 && rcode === 'NOERROR' ? 'BADVERS' : `extended ${upper} over ${rcode}`;
}

export interface Trailer {
  /** The message as it was before the trailer came to it. */
  readonly body: Buffer;
  readonly record: Answer;
}

/** The message's last additional record, which a signature is (RFC 8945 §5.1). Throws DnsError (bad-answer). */
export function takeTrailer(bytes: Buffer): Trailer | undefined {
  return reading(() => {
    const {
      questions = [],
      answers = [],
      authorities = [],
      additionals = [],
    } = dnsPacket.decode(bytes);
    const record = additionals.at(-1);
    if (record === undefined) return undefined;
    let at = HEADER_BYTES;
    for (const _ of questions) {
      dnsPacket.question.decode(bytes, at);
      at += dnsPacket.question.decode.bytes;
    }
    const before = answers.length + authorities.length + additionals.length - 1;
    for (let index = 0; index < before; index += 1) {
      dnsPacket.answer.decode(bytes, at);
      at += dnsPacket.answer.decode.bytes;
    }
    const body = Buffer.from(bytes.subarray(0, at));
    body.writeUInt16BE(additionals.length - 1, ARCOUNT_AT);
    return { body, record };
  });
}

/** The message with one more additional record. */
export function appendTrailer(body: Buffer, record: Answer): Buffer {
  const message = Buffer.concat([body, dnsPacket.answer.encode(record)]);
  message.writeUInt16BE(body.readUInt16BE(ARCOUNT_AT) + 1, ARCOUNT_AT);
  return message;
}

/** Uncompressed, as signatures take names. */
export function encodeName(name: string): Buffer {
  return dnsPacket.name.encode(name);
}

/** A name at the beginning of a record's data, and what comes after it. Throws DnsError (bad-answer). */
export function splitName(data: Buffer): { name: string; rest: Buffer } {
  return reading(() => {
    const name = dnsPacket.name.decode(data, 0).toLowerCase();
    return { name, rest: data.subarray(dnsPacket.name.decode.bytes) };
  });
}

function reading<T>(body: () => T): T {
  try {
    return body();
  } catch (cause) {
    if (cause instanceof DnsError) throw cause;
    throw new DnsError('bad-answer', 'the answer is no DNS message that can be read', { cause });
  }
}
