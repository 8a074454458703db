import fc from 'fast-check';
import { expect, test } from 'vitest';
import { htmlText } from './html-text.ts';
import { previewedPiece, previewText } from './preview.ts';
import { parseMessage } from './structure.ts';

function preview(text: string): string | undefined {
  const raw = Buffer.from(text);
  const piece = previewedPiece(parseMessage(raw));
  return piece && previewText(raw.subarray(piece.start, piece.end), piece);
}
const part = (type: string, text: string) => `--b\r\nContent-Type: ${type}\r\n\r\n${text}\r\n`;
const multipart = (subtype: string, ...parts: string[]) =>
  `Content-Type: multipart/${subtype}; boundary=b\r\n\r\n${parts.join('')}--b--\r\n`;
const html = part('text/html', '<p>html</p>');
const plain = part('text/plain', 'plain');
const attached = '--b\r\nContent-Disposition: attachment\r\n\r\nattached\r\n';

test.each<[string, string, string | undefined]>([
  ['plain text on one line', '\r\n one\r\n\r\n\ttwo \r\n', 'one two'],
  ['none', '\r\n', ''],
  ['plain before HTML', multipart('alternative', html, plain), 'plain'],
  ['HTML alone', multipart('alternative', html), 'html'],
  ['the first that is shown', multipart('mixed', attached, html, plain), 'html'],
  ['attachments alone', multipart('mixed', attached), undefined],
  ['a picture', 'Content-Type: image/png\r\n\r\nx', undefined],
  [
    'no text of a message within',
    multipart('mixed', part('message/rfc822', 'A: b\r\n\r\nx')),
    undefined,
  ],
  [
    'charset',
    'Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C4=C1',
    'да',
  ],
  [
    'transfer encoding',
    'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ==',
    'Grüße',
  ],
])('%s', (_, text, expected) => expect(preview(text)).toBe(expected));

test('200 characters of any size', () => {
  const utf8 = 'Content-Type: text/plain; charset=utf-8\r\n\r\n';
  expect(preview(`${utf8}${'😀'.repeat(300)}`)).toBe('😀'.repeat(200));
  // the octets end within a character
  expect(preview(`${utf8}${' '.repeat(65_535)}ä`)).toBe('');
});

test.each([
  ['<p>one</p><br/>two', ' one  two'],
  ['a <b>b</B> c', 'a  b  c'],
  ['<style>p { x: "<b>" }</STYLE >x', ' x'],
  ['<head><title>t</title><body>x', '   x'],
  ['<!-- <p>no --> x', '  x'],
  ['<!doctype html>x', ' x'],
  ['1 < 2 <= 3', '1 < 2 <= 3'],
  ['<script>never closed', ' '],
  ['<p never closed', ' '],
  ['&lt;b&gt; &amp;amp; &#228;&#xE4; &nbsp;&frob; &#9999999;', '<b> &amp; ää  &frob; &#9999999;'],
])('%s', (text, expected) => expect(htmlText(text)).toBe(expected));

test('any text', () => {
  const pieces = fc.constantFrom(
    '<',
    '>',
    '!--',
    '-->',
    '/',
    'style',
    '&',
    '#',
    ';',
    'a',
    '1',
    'İ',
  );
  fc.assert(
    fc.property(fc.array(pieces), (words) => {
      const text = words.join('');
      expect(htmlText(text).length).toBeLessThanOrEqual(text.length);
    }),
    { numRuns: 2000 },
  );
});

test.each(['<', '<style>', '<!--', '<a', '&#', '</style'])('64 KiB of %s', (piece) => {
  expect(htmlText(piece.repeat(65_536 / piece.length)).length).toBeLessThanOrEqual(65_536);
});
