/**
 * Transaction signatures (RFC 8945): a shared secret vouches for a request and for its answer. The record's
 * data, which dns-packet leaves as bytes, is read and written here.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { DnsError } from './errors.ts';
import { appendTrailer, checkName, encodeName, splitName, takeTrailer } from './wire.ts';

export const TSIG_ALGORITHMS = ['hmac-sha256', 'hmac-sha384', 'hmac-sha512'] as const;
export type TsigAlgorithm = (typeof TSIG_ALGORITHMS)[number];

const HASHES = {
  'hmac-sha256': 'sha256',
  'hmac-sha384': 'sha384',
  'hmac-sha512': 'sha512',
} as const satisfies Record<TsigAlgorithm, string>;

export interface TsigKey {
  /** As checkName gives it. */
  readonly name: string;
  readonly algorithm: TsigAlgorithm;
  readonly secret: Buffer;
}

/** How far clocks may differ, in seconds (RFC 8945 §10). */
const FUDGE_S = 300;
const CLASS_ANY = 255;
const TIME_BYTES = 6;
/** Time, fudge and the size of what follows; then, after that, the original id, error and another size. */
const FIXED_BYTES = TIME_BYTES + 4;
const TAIL_BYTES = 6;

/** RFC 8945 §3. */
const ERRORS: ReadonlyMap<number, string> = new Map([
  [16, 'BADSIG'],
  [17, 'BADKEY'],
  [18, 'BADTIME'],
  [22, 'BADTRUNC'],
]);

/** `secret` is base64, as tsig-keygen prints it. Throws DnsError (bad-name, bad-secret). */
export function tsigKey(name: string, algorithm: TsigAlgorithm, secret: string): TsigKey {
  const bytes = Buffer.from(secret, 'base64');
  const canonical = bytes.toString('base64').replace(/=+$/, '');
  if (bytes.length === 0 || canonical !== secret.trim().replace(/=+$/, '')) {
    throw new DnsError('bad-secret', 'a TSIG secret is base64, as tsig-keygen prints it');
  }
  return { name: checkName(name), algorithm, secret: bytes };
}

export interface Signed {
  readonly message: Buffer;
  readonly mac: Buffer;
}

/** `now` in milliseconds since the epoch. An answer is signed with the MAC of its request. */
export function sign(body: Buffer, key: TsigKey, now: number, requestMac?: Buffer): Signed {
  const time = Math.floor(now / 1000);
  const variables = { time, fudge: FUDGE_S, error: 0, other: Buffer.alloc(0) };
  const before = requestMac === undefined ? [] : [sized(requestMac)];
  const mac = macOver(key, [...before, body, signedVariables(key, variables)]);
  const data = Buffer.concat([
    encodeName(key.algorithm),
    timeAndFudge(variables),
    sized(mac),
    // the message's own id, which forwarders may change outside
    body.subarray(0, 2),
    errorAndOther(variables),
  ]);
  const record = { type: 'TSIG', name: key.name, class: 'ANY', ttl: 0, data } as const;
  return { message: appendTrailer(body, record), mac };
}

/** What an answer's signature says. */
export interface AnswerSignature {
  /** "BADKEY" and the like; undefined where the server found none. */
  readonly error: string | undefined;
  /** False where the server signs nothing, having no key to sign with; such an answer may be anybody's. */
  readonly verified: boolean;
  /** The server's clock in milliseconds, with BADTIME. */
  readonly serverTime: number | undefined;
}

/**
 * Undefined for an answer without a signature. Throws DnsError (bad-answer, bad-signature, bad-time) where
 * there is one and it does not hold.
 */
export function verifyAnswer(
  message: Buffer,
  key: TsigKey,
  requestMac: Buffer,
  now: number,
): AnswerSignature | undefined {
  const trailer = takeTrailer(message);
  if (trailer?.record.type !== 'TSIG') return undefined;
  const { body, record } = trailer;
  const data = readData(record.data);
  const error = data.error === 0 ? undefined : (ERRORS.get(data.error) ?? `error ${data.error}`);
  const serverTime =
    error === 'BADTIME' && data.other.length === TIME_BYTES
      ? data.other.readUIntBE(0, TIME_BYTES) * 1000
      : undefined;
  if (data.mac.length === 0 && error !== undefined) return { error, verified: false, serverTime };

  const sameKey = record.name.toLowerCase() === key.name && data.algorithm === key.algorithm;
  data.originalId.copy(body, 0);
  const mac = macOver(key, [sized(requestMac), body, signedVariables(key, data)]);
  if (!sameKey || data.mac.length !== mac.length || !timingSafeEqual(data.mac, mac)) {
    throw new DnsError(
      'bad-signature',
      'the answer is not signed with our key; nobody vouches for it',
    );
  }
  // with BADTIME the server repeats our time and puts its own beside it (RFC 8945 §5.2.3)
  if (Math.abs(data.time - now / 1000) > data.fudge) {
    throw new DnsError(
      'bad-time',
      `the answer was signed at another time: ${clocksDiffer(data.time * 1000, now)}`,
    );
  }
  return { error, verified: true, serverTime };
}

/** For people. Both in milliseconds. */
export function clocksDiffer(theirs: number, ours: number): string {
  const seconds = Math.round(Math.abs(theirs - ours) / 1000);
  return `its clock and ours differ by ${seconds} s; set both by NTP`;
}

interface Variables {
  /** Seconds since the epoch. */
  readonly time: number;
  readonly fudge: number;
  readonly error: number;
  readonly other: Buffer;
}

interface TsigData extends Variables {
  readonly algorithm: string;
  readonly mac: Buffer;
  readonly originalId: Buffer;
}

/** RFC 8945 §4.2. Throws DnsError (bad-answer). */
function readData(data: Buffer): TsigData {
  const { name: algorithm, rest } = splitName(data);
  const macBytes = rest.length < FIXED_BYTES ? 0 : rest.readUInt16BE(TIME_BYTES + 2);
  const tail = rest.subarray(FIXED_BYTES + macBytes);
  const otherBytes = tail.length < TAIL_BYTES ? 0 : tail.readUInt16BE(4);
  if (rest.length !== FIXED_BYTES + macBytes + TAIL_BYTES + otherBytes) {
    throw new DnsError('bad-answer', 'the answer’s signature cannot be read');
  }
  return {
    algorithm,
    time: rest.readUIntBE(0, TIME_BYTES),
    fudge: rest.readUInt16BE(TIME_BYTES),
    mac: rest.subarray(FIXED_BYTES, FIXED_BYTES + macBytes),
    originalId: tail.subarray(0, 2),
    error: tail.readUInt16BE(2),
    other: tail.subarray(TAIL_BYTES),
  };
}

/** RFC 8945 §4.3.3: what is signed beside the message. */
function signedVariables(key: TsigKey, variables: Variables): Buffer {
  const classAndTtl = Buffer.alloc(6);
  classAndTtl.writeUInt16BE(CLASS_ANY);
  return Buffer.concat([
    encodeName(key.name),
    classAndTtl,
    encodeName(key.algorithm),
    timeAndFudge(variables),
    errorAndOther(variables),
  ]);
}

function timeAndFudge({ time, fudge }: Variables): Buffer {
  const encoded = Buffer.alloc(TIME_BYTES + 2);
  encoded.writeUIntBE(time, 0, TIME_BYTES);
  encoded.writeUInt16BE(fudge, TIME_BYTES);
  return encoded;
}

function errorAndOther({ error, other }: Variables): Buffer {
  const encoded = Buffer.alloc(2);
  encoded.writeUInt16BE(error);
  return Buffer.concat([encoded, sized(other)]);
}

function sized(bytes: Buffer): Buffer {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(bytes.length);
  return Buffer.concat([size, bytes]);
}

function macOver({ algorithm, secret }: TsigKey, parts: readonly Buffer[]): Buffer {
  return createHmac(HASHES[algorithm], secret).update(Buffer.concat(parts)).digest();
}
