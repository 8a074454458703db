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
  const header: number[] = [];
  let received = 0;
  let record = 0;
  while (record < bytes.length) {
    if (bytes[record] !== HANDSHAKE_RECORD) return record === 0 ? 'not-tls' : 'whole';
    const start = record + RECORD_HEADER_BYTES;
    if (bytes.length < start) return 'partial';
    const length = ((bytes[record + 3] ?? 0) << 8) | (bytes[record + 4] ?? 0);
    if (length === 0 || length > MAX_RECORD_BYTES) return 'whole';
    const end = start + length;
    const fragment = bytes.subarray(start, end);
    // a message may be cut into records anywhere, its header included
    header.push(...fragment.subarray(0, MESSAGE_HEADER_BYTES - header.length));
    received += fragment.length;
    if (header.length === MESSAGE_HEADER_BYTES) {
      const [type = 0, high = 0, middle = 0, low = 0] = header;
      const needed = MESSAGE_HEADER_BYTES + ((high << 16) | (middle << 8) | low);
      if (type !== CLIENT_HELLO || received >= needed) return 'whole';
    }
    record = end;
  }
  return 'partial';
}
