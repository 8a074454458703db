import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@mail/service';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DnsHook } from './dns-hook.ts';

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
const saidSomething = () => {
  const text = said();
  if (text === '') throw new Error('nothing yet');
  return text;
};

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
  // a pipe that ends with whoever holds it: whatever the script began has ended too
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const held = createReadStream(pipe).resume();
  const slow = new DnsHook(program(`sleep 600 > ${pipe} & wait`), silentLogger());
  const running = slow.add('o', 't', stop.signal);
  await once(held, 'open');
  stop.abort();
  await expect(running).rejects.toMatchObject({ code: 'stopped' });
  if (!held.readableEnded) await once(held, 'end');
});

test('a daemon that it leaves behind is not waited for, though it holds the output', async () => {
  const hook = new DnsHook(
    program(`setsid sh -c 'echo $$ > ${folder}/said; exec sleep 600' & echo last words`),
    silentLogger(),
  );
  await hook.add('o', 't', signal);
  process.kill(Number(await vi.waitFor(saidSomething)), 'SIGKILL');
});

test('one that may not be ended is left alone', async () => {
  const stop = new AbortController();
  const hook = new DnsHook(program(`echo $$ > ${folder}/said; exec sleep 600`), silentLogger());
  const running = hook.add('o', 't', stop.signal);
  const pid = Number(await vi.waitFor(saidSomething));
  const kill = vi.spyOn(process, 'kill').mockImplementation(() => {
    throw Object.assign(new Error('not ours'), { code: 'EPERM' });
  });
  stop.abort();
  await expect(running).rejects.toMatchObject({ code: 'stopped' });
  kill.mockRestore();
  process.kill(pid, 'SIGKILL');
});
