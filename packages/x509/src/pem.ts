/**
 * The textual encoding (RFC 7468, and the headers of RFC 1421 that old encrypted keys carry). Text
 * outside the blocks is passed over, as programs write descriptions there.
 */
import { malformed } from './errors.ts';

export interface PemBlock {
  /** Between BEGIN and the dashes: "CERTIFICATE". */
  readonly label: string;
  /** "Name: value" lines in front of the data. */
  readonly headers: ReadonlyMap<string, string>;
  readonly der: Buffer;
  /** The block as it stands, from BEGIN to END. */
  readonly text: string;
}

const BEGIN = '-----BEGIN ';
const DASHES = '-----';
const MAX_LABEL_LENGTH = 64;

/** Whether the bytes hold at least the beginning of a block. */
export function looksLikePem(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(BEGIN);
}

/** Throws `CertificateError` ("malformed") for a block without end or with broken data. Linear in time. */
export function readPem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  for (let start = text.indexOf(BEGIN); start >= 0; ) {
    const labelEnd = text.indexOf(DASHES, start + BEGIN.length);
    const label = text.slice(start + BEGIN.length, labelEnd);
    if (labelEnd < 0 || label.length > MAX_LABEL_LENGTH || /[^\x20-\x7e]/.test(label)) {
      throw malformed('input', 'A PEM block begins with a broken line.');
    }
    const end = `${DASHES}END ${label}${DASHES}`;
    const bodyEnd = text.indexOf(end, labelEnd);
    if (bodyEnd < 0) {
      throw malformed(
        'input',
        `The PEM block ${label} has no end: the file was cut off.`,
        'Give the whole file.',
      );
    }
    const stop = bodyEnd + end.length;
    const body = text.slice(labelEnd + DASHES.length, bodyEnd);
    blocks.push({ label, ...readBody(label, body), text: text.slice(start, stop) });
    start = text.indexOf(BEGIN, stop);
  }
  return blocks;
}

function readBody(label: string, body: string): Pick<PemBlock, 'headers' | 'der'> {
  const lines = body.split(/\r\n|\r|\n/).map((line) => line.trim());
  const headers = new Map<string, string>();
  let data = lines;
  if (lines.some((line) => line.includes(':'))) {
    // RFC 1421 §4.4: an empty line ends the headers; the first line is what follows BEGIN.
    const blank = lines.indexOf('', 1);
    if (blank < 0) throw malformed('input', `The headers of the PEM block ${label} have no end.`);
    for (const line of lines.slice(1, blank)) {
      const colon = line.indexOf(':');
      if (colon > 0) headers.set(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    data = lines.slice(blank);
  }
  const base64 = data.join('').replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    throw malformed('input', `The PEM block ${label} holds something else than Base64.`);
  }
  return { headers, der: Buffer.from(base64, 'base64') };
}

/** One block, 64 characters to a line, ending in a line break. */
export function writePem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .replaceAll(/.{64}(?=.)/g, '$&\n');
  return `${BEGIN}${label}${DASHES}\n${lines}\n${DASHES}END ${label}${DASHES}\n`;
}
