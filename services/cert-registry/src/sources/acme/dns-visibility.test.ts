import { randomBytes } from 'node:crypto';
import { silentLogger } from '@mail/service';
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
