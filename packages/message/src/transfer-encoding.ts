/** Content-Transfer-Encoding undone (RFC 2045 §6). Takes any octets, in one pass. */

const EQUALS = 0x3d;
const LF = 0x0a;
const CR = 0x0d;
/** Value of each hexadecimal digit, -1 for other octets. */
const HEX = Int8Array.from({ length: 256 }, (_, octet) => {
  const digit = String.fromCharCode(octet);
  return /[0-9A-Fa-f]/.test(digit) ? Number.parseInt(digit, 16) : -1;
});

/** `encoding` in lower case; one that is unknown leaves the octets as they are. */
export function decodeTransfer(octets: Buffer, encoding: string): Buffer {
  if (encoding === 'base64') return Buffer.from(octets.toString('latin1'), 'base64');
  return encoding === 'quoted-printable' ? decodeQuotedPrintable(octets) : octets;
}

/** §6.7. An "=" that means nothing stands for itself. */
export function decodeQuotedPrintable(octets: Buffer): Buffer {
  const decoded = Buffer.allocUnsafe(octets.length);
  let length = 0;
  for (let at = 0; at < octets.length; at += 1) {
    let octet = octets[at] ?? 0;
    if (octet === EQUALS) {
      const softBreak = softBreakEnd(octets, at + 1);
      if (softBreak !== undefined) {
        at = softBreak - 1;
        continue;
      }
      const high = HEX[octets[at + 1] ?? 0] ?? -1;
      const low = HEX[octets[at + 2] ?? 0] ?? -1;
      if (high >= 0 && low >= 0) {
        octet = high * 16 + low;
        at += 2;
      }
    }
    decoded[length] = octet;
    length += 1;
  }
  return decoded.subarray(0, length);
}

/** Behind the line break that `at` leads to over blanks only, if it does. */
function softBreakEnd(octets: Buffer, at: number): number | undefined {
  let here = at;
  while (octets[here] === 0x20 || octets[here] === 0x09) here += 1;
  if (octets[here] === CR && octets[here + 1] === LF) return here + 2;
  return octets[here] === LF ? here + 1 : undefined;
}
