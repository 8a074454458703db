/** Content-Transfer-Encoding undone (RFC 2045 §6). Takes any octets, in one pass or piece by piece. */

const EQUALS = 0x3d;
const LF = 0x0a;
const CR = 0x0d;
/** What a soft break may have before its line end: a line's length, so that no run of blanks is waited for. */
const MAX_BREAK_BLANKS = 998;
/** Value of each hexadecimal digit, -1 for other octets. */
const HEX = Int8Array.from({ length: 256 }, (_, octet) => {
  const digit = String.fromCharCode(octet);
  return /[0-9A-Fa-f]/.test(digit) ? Number.parseInt(digit, 16) : -1;
});

/** 1 for the octets of base64's alphabet, that of URLs included, as Buffer reads it. */
const IN_BASE64 = Uint8Array.from({ length: 256 }, (_, octet) =>
  /[A-Za-z0-9+/_-]/.test(String.fromCharCode(octet)) ? 1 : 0,
);

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
  while (isBlank(octets[here]) && here - at < MAX_BREAK_BLANKS) here += 1;
  if (octets[here] === CR && octets[here + 1] === LF) return here + 2;
  return octets[here] === LF ? here + 1 : undefined;
}

function isBlank(octet: number | undefined): boolean {
  return octet === 0x20 || octet === 0x09;
}

/** Undoes an encoding of octets that come in pieces, whatever their sizes; holds a line at the most. */
export interface TransferDecoder {
  /** What the next piece decodes to, as far as that can be told without the one behind it. */
  decode(piece: Buffer): Buffer;
  /** What was held back; the octets have ended. */
  end(): Buffer;
  /** One that has come as far, and goes on by itself. */
  copy(): TransferDecoder;
}

const NOTHING = Buffer.alloc(0);
const IDENTITY: TransferDecoder = {
  decode: (piece) => piece,
  end: () => NOTHING,
  copy: () => IDENTITY,
};

/**
 * Gives what decodeTransfer would give of the whole. `encoding` in lower case; undefined for one that is
 * unknown, of which nobody can tell what it stands for.
 */
export function createTransferDecoder(encoding: string): TransferDecoder | undefined {
  switch (encoding) {
    case '7bit':
    case '8bit':
    case 'binary':
      return IDENTITY;
    case 'base64':
      return new Base64Decoder();
    case 'quoted-printable':
      return new QuotedPrintableDecoder();
    default:
      return undefined;
  }
}

/** §6.8. Octets outside the alphabet are passed over; "=" ends it. */
class Base64Decoder implements TransferDecoder {
  /** Letters that make no whole group yet. */
  #begun = '';
  #ended = false;

  decode(piece: Buffer): Buffer {
    if (this.#ended) return NOTHING;
    const padding = piece.indexOf(EQUALS);
    this.#ended = padding !== -1;
    const octets = this.#ended ? piece.subarray(0, padding) : piece;
    let letters = this.#begun.length;
    let groupsEnd = 0;
    for (let at = 0; at < octets.length; at += 1) {
      if (IN_BASE64[octets[at] ?? 0] !== 1) continue;
      letters += 1;
      if (letters % 4 === 0) groupsEnd = at + 1;
    }
    const rest = octets.toString('latin1', groupsEnd).replaceAll(/[^A-Za-z0-9+/_-]+/g, '');
    if (groupsEnd === 0) {
      this.#begun += rest;
      return NOTHING;
    }
    const groups = this.#begun + octets.toString('latin1', 0, groupsEnd);
    this.#begun = rest;
    return Buffer.from(groups, 'base64');
  }

  end(): Buffer {
    return Buffer.from(this.#begun, 'base64');
  }

  copy(): Base64Decoder {
    const copy = new Base64Decoder();
    copy.#begun = this.#begun;
    copy.#ended = this.#ended;
    return copy;
  }
}

/** What an "=" needs of the octets behind it to be told: a line end, or two digits. */
const UNDECIDED = /^=(?:[ \t]*\r?|[0-9A-Fa-f])$/;

/** §6.7. */
class QuotedPrintableDecoder implements TransferDecoder {
  #held: Buffer = NOTHING;

  decode(piece: Buffer): Buffer {
    const octets = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    const last = octets.lastIndexOf(EQUALS);
    const undecided =
      last !== -1 &&
      octets.length - last <= MAX_BREAK_BLANKS + 2 &&
      UNDECIDED.test(octets.toString('latin1', last));
    const end = undecided ? last : octets.length;
    this.#held = Buffer.from(octets.subarray(end));
    return decodeQuotedPrintable(octets.subarray(0, end));
  }

  end(): Buffer {
    return decodeQuotedPrintable(this.#held);
  }

  copy(): QuotedPrintableDecoder {
    const copy = new QuotedPrintableDecoder();
    copy.#held = this.#held;
    return copy;
  }
}
