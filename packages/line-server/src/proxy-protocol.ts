/**
 * PROXY protocol header, versions 1 and 2: how a balancer says whose connection it forwards
 * (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). Pure: octets in, verdict out.
 */
import { isIP } from 'node:net';
import { LineServerError } from './errors.ts';

export type ProxyHeader =
  /** Forwarded for this client. */
  | { readonly kind: 'proxied'; readonly address: string; readonly port: number }
  /** The balancer's own (health checks, UNKNOWN, LOCAL): the connection's real address counts. */
  | { readonly kind: 'local' };

/** Version 1 is at most 107 octets with its CRLF (§2.1). */
const V1_MAX_BYTES = 107;
const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V2_FIXED_BYTES = 16;
/** Addresses and extensions (TLVs) behind the fixed part; ours are never near this. */
const V2_MAX_REST_BYTES = 4096;
const MAX_PORT = 65_535;

/**
 * Reads the header at the start of `octets`. Returns it with its length, or undefined while octets are
 * missing. Throws bad-proxy-header.
 */
export function parseProxyHeader(
  octets: Buffer,
): { readonly header: ProxyHeader; readonly length: number } | undefined {
  const signature = octets.subarray(0, V2_SIGNATURE.length);
  if (signature.equals(V2_SIGNATURE.subarray(0, signature.length))) {
    return octets.length < V2_FIXED_BYTES ? undefined : parseVersion2(octets);
  }
  const start = octets.subarray(0, 6).toString('latin1');
  if (!'PROXY '.startsWith(start)) throw bad('it begins with neither version');
  return parseVersion1(octets);
}

function parseVersion1(octets: Buffer): ReturnType<typeof parseProxyHeader> {
  const end = octets.subarray(0, V1_MAX_BYTES).indexOf('\r\n');
  if (end < 0) {
    if (octets.length >= V1_MAX_BYTES) throw bad('its line does not end');
    return undefined;
  }
  const [, family, source, , sourcePort, destinationPort, ...rest] = octets
    .toString('latin1', 0, end)
    .split(' ');
  const length = end + 2;
  if (family === 'UNKNOWN') return { header: { kind: 'local' }, length };
  if (family !== 'TCP4' && family !== 'TCP6') throw bad('its protocol is not TCP4 or TCP6');
  if (source === undefined || destinationPort === undefined || rest.length > 0) {
    throw bad('it has not six words');
  }
  const port = /^\d{1,5}$/.test(sourcePort ?? '') ? Number(sourcePort) : Number.NaN;
  if (!(port <= MAX_PORT)) throw bad('its port is none');
  if (isIP(source) !== (family === 'TCP4' ? 4 : 6)) throw bad('its address is none');
  return { header: { kind: 'proxied', address: source.toLowerCase(), port }, length };
}

/** §2.2: signature, version and command, family and protocol, length, addresses, extensions. */
function parseVersion2(octets: Buffer): ReturnType<typeof parseProxyHeader> {
  const versionAndCommand = octets.readUInt8(12);
  const family = octets.readUInt8(13);
  const rest = octets.readUInt16BE(14);
  if (versionAndCommand >> 4 !== 2) throw bad('its version is not 2');
  if (rest > V2_MAX_REST_BYTES) throw bad('it is too long');
  const length = V2_FIXED_BYTES + rest;
  if (octets.length < length) return undefined;
  const command = versionAndCommand & 0x0f;
  if (command > 1) throw bad('its command is unknown');
  if (command === 0) return { header: { kind: 'local' }, length };
  const body = octets.subarray(V2_FIXED_BYTES, length);
  if (family === 0x11 && rest >= 12) {
    const address = [...body.subarray(0, 4)].join('.');
    return { header: { kind: 'proxied', address, port: body.readUInt16BE(8) }, length };
  }
  if (family === 0x21 && rest >= 36) {
    const groups = Array.from({ length: 8 }, (_, at) => body.readUInt16BE(at * 2).toString(16));
    return {
      header: { kind: 'proxied', address: groups.join(':'), port: body.readUInt16BE(32) },
      length,
    };
  }
  throw bad('its addresses are not TCP over IPv4 or IPv6');
}

function bad(why: string): LineServerError {
  return new LineServerError('bad-proxy-header', `no usable PROXY header: ${why}`);
}
