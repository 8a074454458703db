/**
 * Tells whether a whole ClientHello has arrived, by its framing alone (RFC 8446 §5.1, §4). What is in
 * it is OpenSSL's to judge. Pure.
 */

/** Content type of a handshake record, and message type of a ClientHello. */
const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
const MAX_RECORD_BYTES = 2 ** 14;

export type ClientHelloState =
  /** More has to come. */
  | 'partial'
  /** All there, or broken in a way that OpenSSL should answer with its alert. */
  | 'whole'
  /** The first octet begins no TLS handshake. */
  | 'not-tls';

/** `bytes` is everything that has arrived; empty is partial. */
export function examineClientHello(bytes: Uint8Array): ClientHelloState {
  /** Of the message, over all records so far: octets, and the first four of them as one number. */
  let received = 0;
  let header = 0;
  let record = 0;
  while (record < bytes.length) {
    if (bytes[record] !== HANDSHAKE_RECORD) return record === 0 ? 'not-tls' : 'whole';
    const start = record + RECORD_HEADER_BYTES;
    if (bytes.length < start) return 'partial';
    const length = ((bytes[record + 3] ?? 0) << 8) | (bytes[record + 4] ?? 0);
    if (length === 0 || length > MAX_RECORD_BYTES) return 'whole';
    const end = start + length;
    const available = Math.min(end, bytes.length) - start;
    // a message may be cut into records anywhere, its header included
    for (let at = 0; at < available && received + at < MESSAGE_HEADER_BYTES; at += 1) {
      header = ((header << 8) | (bytes[start + at] ?? 0)) >>> 0;
    }
    received += available;
    if (received >= MESSAGE_HEADER_BYTES) {
      const type = header >>> 24;
      const needed = MESSAGE_HEADER_BYTES + (header & 0xffffff);
      if (type !== CLIENT_HELLO || received >= needed) return 'whole';
    }
    record = end;
  }
  return 'partial';
}
