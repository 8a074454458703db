import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@mail/service';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DnsChallenge } from './dns-challenge.ts';
import { DnsHook } from './dns-hook.ts';
import { AcmeError } from './errors.ts';

const signal = new AbortController().signal;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hook-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

function program(body: string): string {
  const path = join(folder, 'hook');
  writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return path;
}
const said = () => readFileSync(join(folder, 'said'), 'utf8');

test('called with three arguments and no setting of ours, whatever they hold', async () => {
  vi.stubEnv('CONCERT_REGISTRY_KEY', 'secret');
  vi.stubEnv('PROVIDER_TOKEN', 'theirs');
  const hook = new DnsHook(
    program(`printf '%s|' "$@" > ${folder}/said; env >> ${folder}/said`),
    silentLogger(),
  );
  await hook.add('_acme-challenge.a.example', '$(touch x); "', signal);
  expect(said()).toMatch(/^add\|_acme-challenge\.a\.example\|\$\(touch x\); "\|/);
  expect(said()).toContain('PROVIDER_TOKEN=theirs');
  expect(said()).not.toContain('CONCERT_');
});

test('what it prints goes into the log, the end of it, and into no error', async () => {
  const logger = silentLogger();
  const info = vi.spyOn(logger, 'info');
  const hook = new DnsHook(
    program(`head -c 100000 /dev/zero | tr '\\0' x; echo the end >&2; exit 3`),
    logger,
  );
  const error = await hook.add('o', 't', signal).catch((caught) => caught);
  expect(error).toMatchObject({ code: 'proof-failed' });
  expect(error.message).toContain('ended with 3 at "add o"');
  expect(error.message).not.toContain('the end');
  const [{ output }] = info.mock.calls[0] as unknown as [{ output: string }];
  expect(output).toMatch(/the end$/);
  expect(output.length).toBeLessThanOrEqual(2_001);
});

test('one that is not there, and one that is no longer wanted', async () => {
  const missing = new DnsHook(join(folder, 'missing'), silentLogger());
  await expect(missing.add('o', 't', signal)).rejects.toThrow(/can't be run \(ENOENT\)/);
  const stop = new AbortController();
  // it ends when nobody holds its output any more: whatever the script began has ended too
  const slow = new DnsHook(
    program(`sleep 600 & echo begun > ${folder}/said; wait`),
    silentLogger(),
  );
  const running = slow.add('o', 't', stop.signal);
  await vi.waitFor(said);
  stop.abort();
  await expect(running).rejects.toMatchObject({ code: 'stopped' });
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
