import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import dnsPacket, { type Answer, type Packet } from 'dns-packet';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { authoritativeServers, findZone } from './authority.ts';
import { DnsError } from './errors.ts';
import { acceptAnswer, query, readAnswer } from './query.ts';
import type { DnsServer } from './server.ts';
import { type Named, namedIsMissing, startNamed } from './testing/named.ts';

const NAME = '_25._tcp.mail.example.org';
const SERVER: DnsServer = { host: '192.0.2.53', port: 53 };
const AUTHORITATIVE = dnsPacket.AUTHORITATIVE_ANSWER;
const RECURSIVE = dnsPacket.RECURSION_AVAILABLE;
const question = { name: NAME, type: 'TLSA' } as const;
/** RFC 1035 §4.1.1, as numbers of the header's last four bits. */
const RCODE = { SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;

const tlsa = (digit: number, changes: Partial<{ name: string; ttl: number }> = {}): Answer => ({
  type: 'TLSA',
  name: NAME,
  ttl: 300,
  data: { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32, digit) },
  ...changes,
});
const alias = (name: string, data: string, ttl: number): Answer => ({
  type: 'CNAME',
  name,
  ttl,
  data,
});

const encode = (packet: Packet, id = 7): Buffer =>
  dnsPacket.encode({
    type: 'response',
    id,
    flags: AUTHORITATIVE,
    questions: [question],
    ...packet,
  });

function read(packet: Packet, recursion = true) {
  const message = acceptAnswer(encode(packet), 7, question);
  if (message === undefined) throw new Error('not accepted');
  return readAnswer(message, question, SERVER, recursion);
}

describe('an answer', () => {
  test('has records, their TTL and what DNSSEC says', () => {
    const answers = [tlsa(1), tlsa(2, { ttl: 100 }), tlsa(3, { name: 'other.example.org' })];
    const answer = read({ answers, flags: RECURSIVE | dnsPacket.AUTHENTIC_DATA });
    expect(answer.records.map(({ data }) => data.certificate[0])).toEqual([1, 2]);
    expect(answer).toMatchObject({ exists: true, authenticated: true, ttlSeconds: 300 });
  });

  test('follows CNAMEs, in any case and order, and counts their TTL', () => {
    const answers = [
      tlsa(1, { name: 'B.example.net', ttl: 60 }),
      alias('a.example.net', 'b.EXAMPLE.net', 3600),
      alias(NAME.toUpperCase(), 'A.example.net', 10),
    ];
    const answer = read({ answers });
    expect(answer.records).toHaveLength(1);
    expect(answer).toMatchObject({ owner: 'b.example.net', ttlSeconds: 3600 });
  });

  test('of CNAMEs in a circle has no records', () => {
    const answers = [alias(NAME, 'a.example', 1), alias('a.example', NAME, 1), tlsa(1)];
    expect(() => read({ answers })).not.toThrow();
  });

  test('may be that there is none', () => {
    const absent = read({ flags: AUTHORITATIVE | RCODE.NXDOMAIN });
    expect(absent).toMatchObject({ exists: false, records: [], ttlSeconds: 0 });
    expect(read({})).toMatchObject({ exists: true, records: [] });
  });

  test.each([
    ['the minimum of its zone', 3600, 900, 900],
    ['the TTL of its SOA', 60, 900, 60],
  ])('that there is none is kept for %s where that is less', (_, ttl, minimum, seconds) => {
    const soa: Answer = {
      type: 'SOA',
      name: 'example.org',
      ttl,
      data: {
        mname: 'ns',
        rname: 'hostmaster',
        serial: 1,
        refresh: 1,
        retry: 1,
        expire: 1,
        minimum,
      },
    };
    expect(read({ authorities: [soa] }).ttlSeconds).toBe(seconds);
    // a CNAME to where nothing is may be kept for longer
    const answers = [alias(NAME, 'a.example', 7200)];
    expect(read({ answers, authorities: [soa] }).ttlSeconds).toBe(7200);
  });

  test.each<[string, Packet, boolean]>([
    ['refused', { flags: AUTHORITATIVE | RCODE.REFUSED }, true],
    ['server-failure', { flags: RECURSIVE | RCODE.SERVFAIL }, true],
    // a referral, which is neither presence nor absence
    ['bad-answer', { flags: 0 }, true],
    ['bad-answer', { flags: RECURSIVE }, false],
  ])('%s', (code, packet, recursion) => {
    expect(() => read(packet, recursion)).toThrow(expect.objectContaining({ code }));
  });

  test.each<[string, Buffer]>([
    ['another id', encode({}, 8)],
    ['a query', encode({ type: 'query' })],
    ['another name', encode({ questions: [{ name: 'x.example.org', type: 'TLSA' }] })],
    ['another type', encode({ questions: [{ name: NAME, type: 'TXT' }] })],
    ['another class', encode({ questions: [{ name: NAME, type: 'TLSA', class: 'CH' }] })],
    ['no question', encode({ questions: [] })],
    ['two questions', encode({ questions: [question, question] })],
    ['an update', encode({ flags: AUTHORITATIVE | (5 << 11) })],
    ['nothing', Buffer.alloc(0)],
  ])('%s is none', (_, bytes) => {
    expect(acceptAnswer(bytes, 7, question)).toBe(undefined);
  });

  test('of any bytes is one, or none, or a DnsError', () => {
    const valid = encode({
      answers: [alias(NAME, 'a.example', 1), tlsa(1, { name: 'a.example' })],
    });
    const mutated = fc
      .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 8 })
      .map((edits) => {
        const bytes = Buffer.from(valid);
        for (const [at, byte] of edits) bytes.writeUInt8(byte, at);
        return bytes;
      });
    const random = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(mutated, random), (bytes) => {
        try {
          const message = acceptAnswer(bytes, 7, question);
          if (message !== undefined) readAnswer(message, question, SERVER, true);
        } catch (error) {
          expect(error).toBeInstanceOf(DnsError);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('that is all pointers costs no time', () => {
    // each record's name points to the one before it
    const bytes = Buffer.alloc(16 * 1024);
    encode({}).copy(bytes);
    bytes.writeUInt16BE(0xffff, 6);
    for (let at = 60; at + 2 <= bytes.length; at += 2)
      bytes.writeUInt16BE(0xc000 + Math.min(at - 2, 0x3fff), at);
    expect(acceptAnswer(bytes, 7, question)).toBe(undefined);
  });
});

describe('a server', () => {
  const open: (Socket | Server)[] = [];
  afterEach(() => {
    for (const socket of open.splice(0)) socket.close();
  });

  type Reply = (request: Buffer, attempt: number) => Buffer[];

  async function serve(udp: Reply, tcp: Reply = () => []): Promise<DnsServer> {
    const socket = createSocket('udp4');
    open.push(socket);
    let attempt = 0;
    socket.on('message', (request: Buffer, { port }: RemoteInfo) => {
      attempt += 1;
      for (const datagram of udp(request, attempt)) socket.send(datagram, port);
    });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    const listener = createServer((connection) => {
      connection.on('error', () => {});
      connection.on('data', (request: Buffer) => {
        for (const bytes of tcp(request.subarray(2), 1)) connection.write(bytes);
        connection.end();
      });
    });
    open.push(listener);
    listener.listen(port, '127.0.0.1');
    await once(listener, 'listening');
    return { host: '127.0.0.1', port };
  }

  const idOf = (request: Buffer) => request.readUInt16BE(0);
  const framed = (message: Buffer) => {
    const size = Buffer.alloc(2);
    size.writeUInt16BE(message.length);
    return Buffer.concat([size, message]);
  };
  const ask = (server: DnsServer, options = {}) =>
    query(server, 'TLSA', NAME, { recursion: true, attemptMs: 100, ...options });

  test('is asked with EDNS and DO, under another id each time', async () => {
    const requests: Buffer[] = [];
    const server = await serve((request) => {
      requests.push(request);
      return [encode({ answers: [tlsa(1)] }, idOf(request))];
    });
    const patient = { attemptMs: 5_000 };
    await ask(server, patient);
    await ask(server, patient);
    const [first, second] = requests.map((request) => dnsPacket.decode(request));
    expect(first?.additionals).toMatchObject([
      { type: 'OPT', flag_do: true, udpPayloadSize: 1232 },
    ]);
    expect(first).toMatchObject({ flag_rd: true, flag_ad: true });
    expect(first?.id).not.toBe(second?.id);
  });

  test('that loses one is asked again, and forgeries before the answer are passed over', async () => {
    const server = await serve((request, attempt) => {
      if (attempt === 1) return [];
      const forged = encode({ answers: [tlsa(9)] }, idOf(request) ^ 1);
      return [Buffer.from('junk'), forged, encode({ answers: [tlsa(1)] }, idOf(request))];
    });
    const { records } = await ask(server, { attemptMs: 1_000 });
    expect(records.map(({ data }) => data.certificate[0])).toEqual([1]);
  });

  test('whose answer does not fit is asked by TCP', async () => {
    const answers = Array.from({ length: 200 }, (_, index) => tlsa(index));
    const server = await serve(
      (request) => [encode({ flags: AUTHORITATIVE | dnsPacket.TRUNCATED_RESPONSE }, idOf(request))],
      (request) => {
        const whole = framed(encode({ answers }, idOf(request)));
        // in pieces, as networks do
        return [whole.subarray(0, 1), whole.subarray(1, 700), whole.subarray(700)];
      },
    );
    const { records } = await ask(server, { attemptMs: 5_000 });
    expect(records).toHaveLength(200);
  });

  test.each<[string, Reply, Reply]>([
    ['timed-out', () => [], () => []],
    ['timed-out', () => [Buffer.from('junk')], () => []],
    [
      'bad-answer',
      (request) => [encode({ flags: 0x200 }, idOf(request))],
      () => [framed(Buffer.from('junk'))],
    ],
    ['unreachable', (request) => [encode({ flags: 0x200 }, idOf(request))], () => []],
    [
      'bad-answer',
      (request) => [encode({ flags: 0x200 }, idOf(request))],
      () => [Buffer.from([0xff, 0xff])],
    ],
  ])('that gives no answer: %s', async (code, udp, tcp) => {
    await expect(ask(await serve(udp, tcp))).rejects.toMatchObject({ code });
  });

  test('that is not there is unreachable, and a caller may leave', async () => {
    const server = await serve(() => []);
    const stopped = ask(server, { signal: AbortSignal.abort(), attemptMs: 5_000 });
    await expect(stopped).rejects.toMatchObject({ code: 'stopped' });
    for (const socket of open.splice(0)) socket.close();
    await expect(ask(server, { attemptMs: 5_000 })).rejects.toMatchObject({ code: 'unreachable' });
  });

  test('whose datagrams are anything ends in an answer or a DnsError', async () => {
    let next: readonly number[] = [];
    const server = await serve((request) => {
      const bytes = encode({ answers: [tlsa(1)] }, idOf(request));
      for (const [index, byte] of next.entries()) {
        // behind id and flags, so that most are accepted
        bytes.writeUInt8(byte, 4 + ((index * 53 + byte) % (bytes.length - 4)));
      }
      return [bytes];
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(255), { maxLength: 4 }), async (edits) => {
        next = edits;
        try {
          await ask(server, { attemptMs: 5 });
        } catch (error) {
          expect(error).toBeInstanceOf(DnsError);
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe.skipIf(namedIsMissing)('a BIND', () => {
  let named: Named;
  let server: DnsServer;
  beforeAll(async () => {
    const secret = Buffer.alloc(32).toString('base64');
    const records = ['mail IN A 192.0.2.1', 'alias IN CNAME mail', 'bad IN NS nowhere'];
    named = await startNamed({
      ...{ zone: 'example.org', keyName: 'updates.', algorithm: 'hmac-sha256', secret, records },
    });
    server = { host: '127.0.0.1', port: named.port };
  });
  afterAll(() => named?.stop());

  test.each(['example.org', 'mail.example.org', 'a.b.c.mail.Example.org.', 'alias.example.org'])(
    'tells the zone of %s',
    async (name) => {
      expect(await findZone(server, name)).toBe('example.org');
    },
  );

  test('knows no zone of a name that it does not serve', async () => {
    await expect(findZone(server, 'mail.example.net')).rejects.toMatchObject({ code: 'refused' });
  });

  test('tells who serves a zone', async () => {
    expect(await authoritativeServers(server, 'example.org')).toEqual([
      { host: '127.0.0.1', port: 53 },
    ]);
  });
});
