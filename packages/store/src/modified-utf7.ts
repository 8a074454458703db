/**
 * Modified UTF-7, in which IMAP4rev1 and Maildir++ write mailbox names (RFC 3501 §5.1.3). Pure. There is
 * one writing of each name, and only that is read: otherwise two names could look alike to the store and
 * differ elsewhere.
 */

const PLAIN = /^[\x20-\x25\x27-\x7e]*$/;

function encodeRun(run: string): string {
  const utf16 = Buffer.from(run, 'utf16le').swap16();
  return `&${utf16.toString('base64').replace(/=+$/, '').replaceAll('/', ',')}-`;
}

/** Unicode to its written form, which is ASCII. */
export function encodeModifiedUtf7(name: string): string {
  if (PLAIN.test(name)) return name;
  return name.replaceAll(/[^\x20-\x7e]+|&/g, (run) => (run === '&' ? '&-' : encodeRun(run)));
}

function decodeRun(base64: string): string {
  const utf16 = Buffer.from(base64.replaceAll(',', '/'), 'base64');
  if (utf16.length % 2 !== 0) return '';
  return utf16.swap16().toString('utf16le');
}

/** The written form to Unicode. Undefined for what encodeModifiedUtf7 would not have written. */
export function decodeModifiedUtf7(written: string): string | undefined {
  if (PLAIN.test(written)) return written;
  const name = written.replaceAll(/&([A-Za-z0-9+,]*)-/g, (_, base64: string) =>
    base64 === '' ? '&' : decodeRun(base64),
  );
  return name.isWellFormed() && encodeModifiedUtf7(name) === written ? name : undefined;
}
