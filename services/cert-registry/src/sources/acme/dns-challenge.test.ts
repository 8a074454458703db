import { silentLogger } from '@mail/service';
import { afterEach, expect, test, vi } from 'vitest';
import { DnsChallenge } from './dns-challenge.ts';
import { AcmeError } from './errors.ts';
import { stopReason } from './transport.ts';

const signal = new AbortController().signal;

afterEach(() => {
  vi.useRealTimers();
});

test('a removal that takes too long says so: nobody is stopping', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const logger = silentLogger();
  const warn = vi.spyOn(logger, 'warn');
  const writer = {
    async add() {},
    remove: (_owner: string, _text: string, wanted: AbortSignal) =>
      new Promise<void>((_, reject) => {
        wanted.addEventListener('abort', () => reject(stopReason(wanted)));
      }),
  };
  const challenge = new DnsChallenge({ writer, untilVisible: async () => {}, logger });
  const takeAway = await challenge.provide([{ name: 'a.example', token: 't', value: 'v' }], signal);
  const gone = takeAway();
  await vi.runAllTimersAsync();
  await gone;
  const reason = 'it took longer than 30 s';
  expect(warn).toHaveBeenCalledWith(expect.objectContaining({ reason }), expect.any(String));
});

test('records that were written, and the one that failed, are taken away again', async () => {
  const calls: string[] = [];
  const writer = {
    async add(owner: string, text: string) {
      calls.push(`add ${owner} ${text}`);
      if (text === 'bad') throw new AcmeError('proof-failed', 'no');
    },
    async remove(owner: string, text: string) {
      calls.push(`remove ${owner} ${text}`);
      throw new AcmeError('proof-failed', 'not that either');
    },
  };
  const challenge = new DnsChallenge({
    writer,
    untilVisible: async () => {},
    logger: silentLogger(),
  });
  const proofs = ['good', 'bad', 'never'].map((value) => ({
    name: 'a.example',
    token: 't',
    value,
  }));
  await expect(challenge.provide(proofs, signal)).rejects.toThrow('no');
  const owner = '_acme-challenge.a.example';
  expect(calls).toEqual([
    `add ${owner} good`,
    `add ${owner} bad`,
    `remove ${owner} good`,
    `remove ${owner} bad`,
  ]);
});
