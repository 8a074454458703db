import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { DnsError } from './errors.ts';
import { query } from './query.ts';
import type { DnsServer } from './server.ts';
import { type Named, namedIsMissing, startNamed } from './testing/named.ts';
import { sign, TSIG_ALGORITHMS, type TsigKey, tsigKey, verifyAnswer } from './tsig.ts';
import { updateZone, type ZoneRecord } from './update.ts';
import { encodeUpdate } from './wire.ts';

const ZONE = 'example.org';
const SECRET = randomBytes(32).toString('base64');
const OWNER = `_acme-challenge.mail.${ZONE}`;

function txt(text: string, name = OWNER): ZoneRecord {
  return { type: 'TXT', name, ttl: 1, text };
}

async function texts(server: DnsServer, name = OWNER): Promise<string[]> {
  const { records } = await query(server, 'TXT', name, { recursion: false });
  return records.map(({ data }) => [data].flat().join('')).sort();
}

describe.skipIf(namedIsMissing).each(TSIG_ALGORITHMS)('BIND with %s', (algorithm) => {
  let named: Named;
  let server: DnsServer;
  const key = tsigKey('updates.', algorithm, SECRET);

  beforeAll(async () => {
    named = await startNamed({ zone: ZONE, keyName: 'updates.', algorithm, secret: SECRET });
    server = { host: '127.0.0.1', port: named.port };
  });
  afterAll(() => named?.stop());

  const update = (changes: Parameters<typeof updateZone>[0]['changes'], override = {}) =>
    updateZone({ server, zone: ZONE, key, changes, ...override });

  test('records stand side by side, and each goes alone', async () => {
    await update([{ action: 'add', record: txt('one') }]);
    await update([{ action: 'add', record: txt('two') }]);
    await update([{ action: 'add', record: txt('two') }]);
    expect(await texts(server)).toEqual(['one', 'two']);
    await update([{ action: 'remove', record: txt('one') }]);
    expect(await texts(server)).toEqual(['two']);
    await update([{ action: 'remove', record: txt('never there') }]);
    await update([{ action: 'remove', record: txt('two') }]);
    expect(await texts(server)).toEqual([]);
  });

  test('a long text becomes several strings', async () => {
    const text = 'x'.repeat(600);
    await update([{ action: 'add', record: txt(text) }]);
    expect(await texts(server)).toEqual([text]);
    await update([{ action: 'remove', record: txt(text) }]);
  });

  test('TLSA records, added and removed in one update', async () => {
    const name = `_25._tcp.mail.${ZONE}`;
    const record = (data: Buffer): ZoneRecord => ({
      type: 'TLSA',
      name,
      ttl: 7,
      usage: 3,
      selector: 1,
      matchingType: 1,
      data,
    });
    const [old, next] = [randomBytes(32), randomBytes(32)];
    await update([{ action: 'add', record: record(old) }]);
    await update([
      { action: 'remove', record: record(old) },
      { action: 'add', record: record(next) },
    ]);
    const answer = await query(server, 'TLSA', name, { recursion: false });
    expect(answer.records.map(({ data }) => data)).toEqual([
      { usage: 3, selector: 1, matchingType: 1, certificate: next },
    ]);
    expect(answer).toMatchObject({ exists: true, authenticated: false, ttlSeconds: 7 });
  });

  test.each<[string, string, object]>([
    ['unknown-key', 'no key nobody', { key: tsigKey('nobody', algorithm, SECRET) }],
    [
      'bad-signature',
      'secret',
      { key: tsigKey('updates', algorithm, randomBytes(32).toString('base64')) },
    ],
    ['refused', 'update-policy', { key: tsigKey('other', algorithm, SECRET) }],
    ['not-authoritative', 'primary', { zone: 'example.net', changes: [] }],
    ['not-in-zone', 'outside', { changes: [{ action: 'add', record: txt('x', 'example.net') }] }],
    ['bad-time', 'its clock and ours differ by 3', { now: () => Date.now() - 3_600_000 }],
  ])('%s says what to do', async (code, hint, override) => {
    const refused = update([{ action: 'add', record: txt('one') }], override);
    await expect(refused).rejects.toMatchObject({ code, message: expect.stringContaining(hint) });
    expect(await texts(server)).toEqual([]);
  });
});

describe('a server of any kind', () => {
  const key = tsigKey('updates', 'hmac-sha256', SECRET);
  const closing: (() => void)[] = [];
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });

  /** Answers each message by what `answer` makes of it. */
  async function serve(answer: (request: Buffer) => Buffer): Promise<DnsServer> {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes: Buffer) => socket.end(framed(answer(bytes.subarray(2)))));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => server.close());
    return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  }

  const send = (server: DnsServer) =>
    updateZone({ server, zone: ZONE, key, changes: [{ action: 'add', record: txt('one') }] });

  test('done is only what is signed with our key', async () => {
    await expect(send(await serve((request) => signedAnswer(request, key)))).resolves.toBe(
      undefined,
    );
    const another: TsigKey = { ...key, secret: randomBytes(32) };
    const forged = send(await serve((request) => signedAnswer(request, another)));
    await expect(forged).rejects.toMatchObject({ code: 'bad-signature' });
    const unsigned = send(await serve((request) => plainAnswer(request)));
    await expect(unsigned).rejects.toMatchObject({ code: 'bad-signature' });
    const late = send(await serve((request) => signedAnswer(request, key, Date.now() - 3_600_000)));
    await expect(late).rejects.toMatchObject({ code: 'bad-time' });
  });

  test('nothing that is sent in place of an answer is anything but a DnsError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const sent = send(await serve(() => Buffer.from(bytes)));
        await expect(sent).rejects.toBeInstanceOf(DnsError);
      }),
      { numRuns: 60 },
    );
  });

  test('a signed answer that was changed on its way is not believed', async () => {
    // behind the id, which forwarders may change, up to the signature
    const signed = plainAnswer(Buffer.alloc(2)).length;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: signed - 1 }), fc.nat(7), async (at, bit) => {
        const server = await serve((request) => {
          const answer = signedAnswer(request, key);
          answer.writeUInt8(answer.readUInt8(at) ^ (1 << bit), at);
          return answer;
        });
        await expect(send(server)).rejects.toBeInstanceOf(DnsError);
      }),
      { numRuns: 60 },
    );
  });

  test('nobody there', async () => {
    const server = await serve((request) => request);
    for (const close of closing.splice(0)) close();
    await expect(send(server)).rejects.toMatchObject({ code: 'unreachable' });
  });

  test('the caller ends it', async () => {
    const server = createServer(() => {}).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => server.close());
    const port = (server.address() as AddressInfo).port;
    const controller = new AbortController();
    const sent = updateZone({
      server: { host: '127.0.0.1', port },
      zone: ZONE,
      key,
      changes: [],
      signal: controller.signal,
    });
    server.once('connection', (socket) => {
      closing.push(() => socket.destroy());
      controller.abort();
    });
    await expect(sent).rejects.toMatchObject({ code: 'stopped' });
  });
});

test.each(['', 'not base64!', '===='])('no secret: %s', (secret) => {
  expect(() => tsigKey('updates', 'hmac-sha256', secret)).toThrow(DnsError);
});

test('names that DNS cannot carry are refused before anything is sent', async () => {
  const key = tsigKey('updates', 'hmac-sha256', SECRET);
  const server = { host: '127.0.0.1', port: 9 };
  for (const name of [
    '',
    '..',
    'a..b',
    'x'.repeat(64),
    'ä.example',
    `${'a.'.repeat(130)}b`,
    'a b',
  ]) {
    const changes = [{ action: 'add', record: txt('one', name) } as const];
    const sent = updateZone({ server, zone: ZONE, key, changes });
    await expect(sent).rejects.toMatchObject({ code: 'bad-name' });
  }
});

test('no bytes make the check of a signature anything but an answer or a DnsError', () => {
  const key = tsigKey('updates', 'hmac-sha256', SECRET);
  const { message, mac } = sign(encodeUpdate(1, ZONE, []), key, 0);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(message.length - 1), fc.nat(255))), (edits) => {
      const mutated = Buffer.from(message);
      for (const [at, byte] of edits) mutated.writeUInt8(byte, at);
      try {
        expect(verifyAnswer(mutated, key, mac, 0)?.verified).not.toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(DnsError);
      }
    }),
  );
});

function framed(message: Buffer): Buffer {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(message.length);
  return Buffer.concat([size, message]);
}

/** The zone section alone, NOERROR. */
function plainAnswer(request: Buffer): Buffer {
  const answer = encodeUpdate(request.readUInt16BE(0), ZONE, []);
  answer.writeUInt8(answer.readUInt8(2) | 0x80, 2);
  return answer;
}

/** RFC 8945 §5.3.1: over the request's signature too. */
function signedAnswer(request: Buffer, key: TsigKey, now = Date.now()): Buffer {
  // hmac-sha256: 32 bytes, before the original id, error and size of other data
  const mac = request.subarray(-6 - 32, -6);
  return sign(plainAnswer(request), key, now, mac).message;
}
