import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { examineClientHello } from './client-hello.ts';

/** The octets that a real client sends first. */
async function realClientHello(): Promise<Buffer> {
  const [near, far] = duplexPair();
  const client = connect({ socket: near, servername: 'mail.example.test' });
  client.on('error', () => {});
  const [hello]: Buffer[] = await once(far, 'data');
  client.destroy();
  return hello ?? Buffer.alloc(0);
}

/** The same message cut into records of at most `size` octets (RFC 8446 §5.1). */
function intoRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const fragment = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, fragment.length >> 8, fragment.length & 0xff]), fragment);
  }
  return Buffer.concat(records);
}

describe('examineClientHello', () => {
  let hello: Buffer;
  beforeAll(async () => {
    hello = await realClientHello();
  });

  it('takes a real one, and no part of it', () => {
    expect(examineClientHello(hello)).toBe('whole');
    for (let length = 0; length < hello.length; length += 1) {
      expect(examineClientHello(hello.subarray(0, length))).toBe('partial');
    }
  });

  it('follows a message over any cut into records', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600 }), (size) => {
        const bytes = intoRecords(hello, size);
        expect(examineClientHello(bytes)).toBe('whole');
        expect(examineClientHello(bytes.subarray(0, bytes.length - 1))).toBe('partial');
      }),
    );
  });

  it.each([
    ['a command', Buffer.from('A1 LOGIN a b\r\n'), 'not-tls'],
    ['an HTTP verb', Buffer.from('GET / HTTP/1.1\r\n'), 'not-tls'],
    ['an SSL 2 hello', Buffer.from([0x80, 0x2e, 1, 3, 1]), 'not-tls'],
    ['a record of nothing', Buffer.from([22, 3, 1, 0, 0]), 'whole'],
    ['a record beyond the limit', Buffer.from([22, 3, 1, 0x40, 1]), 'whole'],
    ['another handshake message', Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 9]), 'whole'],
    ['an alert behind half a hello', Buffer.from([22, 3, 1, 0, 1, 1, 21]), 'whole'],
    ['nothing', Buffer.alloc(0), 'partial'],
  ])('judges %s', (_, bytes, expected) => {
    expect(examineClientHello(bytes)).toBe(expected);
  });

  it('never throws, and never takes back that something is whole', () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(
        fc.oneof(
          bytes,
          bytes.map((rest) => Uint8Array.from([22, ...rest])),
        ),
        (input) => {
          let before = 'partial';
          for (let length = 0; length <= input.length; length += 1) {
            const state = examineClientHello(input.subarray(0, length));
            if (before !== 'partial') expect(state).toBe(before);
            before = state;
          }
        },
      ),
    );
  });
});
