import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { silentLogger } from '@mail/service';
import dnsPacket, { type Answer, type Packet } from 'dns-packet';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { DnsError } from '../../dns/errors.ts';
import { type Named, namedIsMissing, startNamed } from '../../dns/testing/named.ts';
import { tsigKey } from '../../dns/tsig.ts';
import { DnsUpdate } from './dns-update.ts';
import { untilVisible } from './dns-visibility.ts';

const owner = '_acme-challenge.acme.test';
const record = { owner, text: 'a-proof' };
const signal = new AbortController().signal;

describe.skipIf(namedIsMissing)('at two real servers', () => {
  const secret = randomBytes(32).toString('base64');
  const options = {
    zone: 'acme.test',
    keyName: 'concert',
    algorithm: 'hmac-sha256',
    secret,
  } as const;
  let servers: Named[];

  beforeAll(async () => {
    servers = await Promise.all([startNamed(options), startNamed(options)]);
  });
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });

  const address = (index: number) => ({ host: '127.0.0.1', port: servers[index]?.port ?? 0 });
  const writerAt = (index: number) =>
    new DnsUpdate({
      server: address(index),
      zone: options.zone,
      key: tsigKey('concert', 'hmac-sha256', secret),
    });
  const look = (waitMs: number, clock = () => performance.now()) =>
    untilVisible(
      [record],
      {
        serversOf: async () => [address(0), address(1)],
        waitMs,
        logger: silentLogger(),
        now: clock,
      },
      signal,
    );

  test('one of them that does not show it is waited for, and named in the end', async () => {
    await writerAt(0).add(owner, 'another', signal);
    await writerAt(0).add(owner, record.text, signal);
    // beyond the time to wait at the second look
    let time = 0;
    const late = look(60_000, () => {
      time += 40_000;
      return time;
    });
    await expect(late).rejects.toMatchObject({
      code: 'proof-failed',
      message: expect.stringContaining(
        `127.0.0.1:${address(1).port} does not show the TXT record at ${owner}`,
      ),
    });
    await writerAt(1).add(owner, record.text, signal);
    await look(60_000);
  });

  test('what is removed leaves what stood beside it', async () => {
    await writerAt(0).add(owner, 'another', signal);
    await writerAt(0).remove(owner, 'another', signal);
    await look(60_000);
  });

  test('an update that the server refuses says why', async () => {
    const error = writerAt(0).add('_acme-challenge.elsewhere.test', 'x', signal);
    await expect(error).rejects.toMatchObject({ code: 'proof-failed' });
  });
});

describe.skipIf(namedIsMissing)('a CNAME into another zone, each at a real server', () => {
  const secret = randomBytes(32).toString('base64');
  const key = { keyName: 'concert', algorithm: 'hmac-sha256', secret } as const;
  const target = 'proof.delegated.test';
  let parent: Named;
  let delegated: Named;

  beforeAll(async () => {
    const records = [`_acme-challenge IN CNAME ${target}.`];
    [parent, delegated] = await Promise.all([
      startNamed({ ...key, zone: 'acme.test', records }),
      startNamed({ ...key, zone: 'delegated.test' }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([parent.stop(), delegated.stop()]);
  });

  const serversOf = async (name: string) => {
    const { port } = name === owner ? parent : delegated;
    return [{ host: '127.0.0.1', port }];
  };

  test('is followed to the servers of that zone', async () => {
    let time = 0;
    const now = () => {
      time += 40_000;
      return time;
    };
    const options = { serversOf, waitMs: 60_000, logger: silentLogger(), now };
    await expect(untilVisible([record], options, signal)).rejects.toMatchObject({
      code: 'proof-failed',
      message: expect.stringContaining(
        `127.0.0.1:${delegated.port} does not show the TXT record at ${target}`,
      ),
    });
    const writer = new DnsUpdate({
      server: { host: '127.0.0.1', port: delegated.port },
      zone: 'delegated.test',
      key: tsigKey('concert', 'hmac-sha256', secret),
    });
    await writer.add(target, record.text, signal);
    await untilVisible([record], options, signal);
  });
});

describe('at a server that says what a test wants', () => {
  let socket: Socket;
  /** Owners in lower case, to where they lead. */
  let aliases: (name: string) => string | undefined;

  beforeAll(async () => {
    socket = createSocket('udp4').bind(0, '127.0.0.1');
    socket.on('message', (bytes, { port, address }) => {
      const { id, questions = [] } = dnsPacket.decode(bytes);
      const name = questions[0]?.name.toLowerCase() ?? '';
      const data = aliases(name);
      const answer: Answer =
        data === undefined
          ? { type: 'TXT', name, data: record.text }
          : { type: 'CNAME', name, data };
      const flags = dnsPacket.AUTHORITATIVE_ANSWER;
      const packet: Packet = { type: 'response', flags, questions, answers: [answer] };
      socket.send(dnsPacket.encode({ ...packet, id: id ?? 0 }), port, address);
    });
    await once(socket, 'listening');
  });
  afterAll(() => socket.close());

  const look = async (): Promise<readonly string[]> => {
    const asked: string[] = [];
    const serversOf = async (name: string) => {
      asked.push(name);
      return [{ host: '127.0.0.1', port: socket.address().port }];
    };
    const options = { serversOf, waitMs: 60_000, logger: silentLogger(), now: () => 0 };
    await untilVisible([record], options, signal);
    return asked;
  };

  test('CNAMEs of several zones are followed, each at its own servers', async () => {
    const chain = new Map([
      [owner, 'One.example'],
      ['one.example', 'two.example'],
    ]);
    aliases = (name) => chain.get(name);
    expect(await look()).toEqual([owner, 'one.example', 'two.example']);
  });

  test.each<[string, (name: string) => string]>([
    ['a circle', (name) => (name === owner ? 'one.example' : owner)],
    ['a way without an end', (name) => `x.${name}`],
  ])('%s is told', async (_, lead) => {
    aliases = lead;
    await expect(look()).rejects.toMatchObject({
      code: 'proof-failed',
      message: `the CNAMEs at ${owner} lead to no end`,
    });
  });
});

test('where nobody can be asked the CA finds out by itself, and that is told', async () => {
  const logger = silentLogger();
  const warn = vi.spyOn(logger, 'warn');
  const serversOf = async () => {
    throw new DnsError('unreachable', 'no resolver');
  };
  await untilVisible([record], { serversOf, waitMs: 1_000, logger, now: () => 0 }, signal);
  expect(warn).toHaveBeenCalledWith({ reason: 'no resolver' }, expect.any(String));
});

test('a server that does not answer is not waited for; no wait, no look', async () => {
  const serversOf = vi.fn(async () => [{ host: '127.0.0.1', port: 1 }]);
  const options = { serversOf, logger: silentLogger(), now: () => 0 };
  await untilVisible([record], { ...options, waitMs: 1_000 }, signal);
  await untilVisible([record], { ...options, waitMs: 0 }, signal);
  expect(serversOf).toHaveBeenCalledTimes(1);
});
