import { parseMessage } from '@mail/message';
import { CHUNK_BYTES, type MessageSummary, type Messages } from '@mail/store';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DecodedPlaces,
  type EncodedPart,
  LastDecoded,
  locateEncoded,
  measure,
  readDecoded,
} from './decoded-part.ts';
import { MessageOctets } from './message-octets.ts';
import type { Partial } from './parser/fetch.ts';
import { Turns } from './turns.ts';

/** The part of `raw` with number `path`. */
function locate(raw: Buffer, ...path: number[]): EncodedPart {
  const part = locateEncoded(parseMessage(raw), path);
  if (part === undefined || part === 'unknown-encoding') throw new Error(`found ${part}`);
  return part;
}

/** As from the store; `read` is told of what is read. */
function octetsOf(raw: Buffer, read: (octets: number) => void = () => {}): MessageOctets {
  const messages = {
    read: (_mailbox: number, _uid: number, start: number, end: number) => {
      read(end - start);
      return Promise.resolve(raw.subarray(start, end));
    },
  } as Pick<Messages, 'read'> as Messages;
  return new MessageOctets(messages, 1, { uid: 1, size: raw.length } as MessageSummary);
}

async function decoded(
  raw: Buffer,
  part: EncodedPart,
  partial?: Partial,
  places = new DecodedPlaces(),
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const turns = new Turns(CHUNK_BYTES);
  for await (const piece of readDecoded(part, partial, octetsOf(raw), turns, places))
    pieces.push(piece);
  return Buffer.concat(pieces);
}

function message(type: string, encoding: string, body: Buffer): Buffer {
  const head = `Content-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Base64 in lines of 76. */
function inBase64(octets: Uint8Array): Buffer {
  const text = Buffer.from(octets).toString('base64');
  return Buffer.from(text.replaceAll(/.{76}/g, '$&\r\n'));
}

describe('which part', () => {
  const raw = Buffer.from(
    [
      'Content-Type: multipart/mixed; boundary=b',
      'Content-Transfer-Encoding: base64',
      '',
      '--b',
      'Content-Transfer-Encoding: X-Own',
      '',
      'one',
      '--b',
      'Content-Type: message/rfc822',
      '',
      'Subject: inner',
      '',
      'text',
      '--b--',
    ].join('\r\n'),
  );
  const structure = parseMessage(raw);

  test('the message and a multipart are as they are', async () => {
    const nested = Buffer.concat([
      Buffer.from('Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n'),
      raw,
      Buffer.from('\r\n--o--'),
    ]);
    expect(await decoded(nested, locate(nested))).toEqual(nested);
    const inner = await decoded(nested, locate(nested, 1));
    expect(inner.toString()).toBe(raw.toString().slice(raw.indexOf('--b\r\n')));
  });

  test('a message within is what it is', async () => {
    const text = await decoded(raw, locate(raw, 2));
    expect(text.toString()).toBe('Subject: inner\r\n\r\ntext');
    expect((await decoded(raw, locate(raw, 2, 1))).toString()).toBe('text');
  });

  test('one that is not there, one that nobody can decode', () => {
    expect(locateEncoded(structure, [3])).toBeUndefined();
    expect(locateEncoded(structure, [1])).toBe('unknown-encoding');
  });
});

test.each([
  ['text/plain; charset=utf-8', 'base64', 'a\nb\r\nc', 'a\r\nb\r\nc'],
  ['text/plain', 'quoted-printable', 'a=0Ab=0D=0Ac=\r\nd', 'a\r\nb\r\ncd'],
  ['text/plain; charset="UTF-16LE"', 'base64', 'a\0\n\0', 'a\0\n\0'],
  ['application/octet-stream', 'base64', 'a\nb', 'a\nb'],
  ['application/octet-stream', '8bit', 'a=41', 'a=41'],
])('%s in %s', async (type, encoding, text, expected) => {
  const body = encoding === 'base64' ? inBase64(Buffer.from(text)) : Buffer.from(text);
  const raw = message(type, encoding, body);
  expect((await decoded(raw, locate(raw, 1))).toString()).toBe(expected);
});

test('a partial is a piece of the whole, and the measure is that of the octets', async () => {
  const partials = fc.record({
    offset: fc.nat(900_000),
    count: fc.integer({ min: 1, max: 900_000 }),
  });
  const bodies = fc
    .record({ seed: fc.uint8Array({ minLength: 1, maxLength: 7 }), octets: fc.nat(800_000) })
    .map(({ seed, octets }) => Buffer.alloc(octets, seed));
  await fc.assert(
    fc.asyncProperty(bodies, partials, async (octets, partial) => {
      const raw = message('image/png', 'base64', inBase64(octets));
      const part = locate(raw, 1);
      expect((await decoded(raw, part)).equals(octets)).toBe(true);
      const wanted = octets.subarray(partial.offset, partial.offset + partial.count);
      expect((await decoded(raw, part, partial)).equals(wanted)).toBe(true);
      const turns = new Turns(CHUNK_BYTES);
      const measured = await measure(
        readDecoded(part, partial, octetsOf(raw), turns, new DecodedPlaces()),
      );
      expect(measured.octets).toBe(wanted.length);
      expect(measured.holdsNul).toBe(wanted.includes(0));
      expect(measured.whole?.equals(wanted)).toBe(wanted.length <= CHUNK_BYTES ? true : undefined);
    }),
    { numRuns: 30 },
  );
});

test('reads no further than it is asked, and goes on from there', async () => {
  const content = Buffer.alloc(8 * CHUNK_BYTES, 'x');
  const raw = message('image/png', 'base64', inBase64(content));
  const part = locate(raw, 1);
  let read = 0;
  const places = new DecodedPlaces();
  const count = 64 * 1024;
  for (let offset = 0; offset < content.length; offset += count) {
    const octets = octetsOf(raw, (length) => {
      read += length;
    });
    const turns = new Turns(CHUNK_BYTES);
    await measure(readDecoded(part, { offset, count }, octets, turns, places));
    if (offset === 0) expect(read).toBe(CHUNK_BYTES);
  }
  // a chunk or two of the store's each time
  expect(read).toBeLessThan((2 * CHUNK_BYTES * content.length) / count);
});

test('pieces in any order are those of the whole', async () => {
  // lines and groups that the store's chunks cut anywhere
  const text = Buffer.from('=3Dx =\r\n\ny=0Az'.repeat(60_000));
  const qp = message('text/plain', 'quoted-printable', text);
  const base64 = message(
    'text/plain',
    'base64',
    inBase64(Buffer.from('ab\ncde\r\n'.repeat(60_000))),
  );
  const partials = fc.record({
    offset: fc.nat(700_000),
    count: fc.integer({ min: 1, max: 500_000 }),
  });
  for (const raw of [qp, base64]) {
    const part = locate(raw, 1);
    const whole = await decoded(raw, part);
    const lines = whole.toString().split('\r\n');
    expect(lines.some((line) => line.includes('\n'))).toBe(false);
    await fc.assert(
      fc.asyncProperty(fc.array(partials, { minLength: 1, maxLength: 6 }), async (asked) => {
        const places = new DecodedPlaces();
        for (const { offset, count } of asked) {
          const piece = await decoded(raw, part, { offset, count }, places);
          expect(piece.equals(whole.subarray(offset, offset + count))).toBe(true);
        }
      }),
      { numRuns: 15 },
    );
  }
});

test('another part has other places', () => {
  const last = new LastDecoded();
  const places = last.placesOf('1/1/1');
  expect(last.placesOf('1/1/1')).toBe(places);
  expect(last.placesOf('1/1/2')).not.toBe(places);
  expect(last.placesOf('1/1/1')).not.toBe(places);
});
