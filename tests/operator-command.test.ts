/** The operator's command against a real registry and a real service: what it says, and its exit codes. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { layOutSystem, makeCertificate, type System } from './testing/system.ts';

let system: System;

beforeAll(async () => {
  system = await layOutSystem();
  await system.start('cert-registry');
  await system.start('smtp');
});
afterAll(() => system?.close());

test('a rotation is told as it happens, and is in the lists afterwards', async () => {
  const id = await makeCertificate(system, 'localhost', 'mail.example.test');
  const { code, stdout } = await system.concert(['cert', 'rotate', id]);
  expect(code).toBe(0);
  const { smtp, submission, submissions } = system.ports;
  const lines = stdout.trimEnd().split('\n');
  expect(lines.slice(0, 3)).toEqual([
    `Rotating to ${id}`,
    '  ready     smtp one',
    '  committed generation 2',
  ]);
  expect(lines[3]).toMatch(/^ {2}active {4}smtp one {2}[+-]\d+\.\d\d ms$/);
  for (const { port } of [smtp, submission, submissions]) {
    expect(lines[4]).toMatch(new RegExp(`^ {2}verified {2}smtp one .*127\\.0\\.0\\.1:${port}\\b`));
  }
  expect(lines[5]).toMatch(
    /^Generation 2 is in force\. 1 of 1 subscribers verified in [\d.]+ ms, skew 0\.00 ms\.$/,
  );
  const fleet = await system.concert(['fleet']);
  expect(fleet.stdout).toContain(`Generation 2, certificate ${id} (localhost and 1 more), 89 days`);
  expect(fleet.stdout).toMatch(/smtp +one +serving +2 /);
  const { stdout: rotations } = await system.concert(['rotations', '--limit', '1']);
  expect(rotations).toMatch(new RegExp(`1 to 2 +${id} +verified`));
  expect((await system.concert(['audit'])).stdout).toContain('RotateCertificate');
});

test('a subscriber that does not answer keeps the switch from happening, unless it may', async () => {
  const id = await makeCertificate(system, 'localhost', 'mail.example.test', 'more.example.test');
  const rotate = ['cert', 'rotate', id, '--timeout', '500ms'];
  system.process('smtp').kill('SIGSTOP');
  const late = await system.concert(rotate);
  const none = await system.concert([...rotate, '--require', 'none']);
  const lagging = await system.concert(['fleet']);
  system.process('smtp').kill('SIGCONT');
  expect(late.code).toBe(1);
  expect(late.stderr).toContain('smtp one late: ');
  expect(late.stderr).toContain('--timeout');
  expect(late.stdout).not.toContain('committed');
  expect(none.code).toBe(5);
  expect(none.stdout).toContain('is in force');
  expect(none.stdout).toContain('1 left behind');
  expect(lagging.stdout).toMatch(/smtp +one +lagging +2 /);
});

test('a registry that stands still ends the command, with its own exit code', async () => {
  system.process('cert-registry').kill('SIGSTOP');
  const { code, stderr } = await system.concert(['fleet']);
  system.process('cert-registry').kill('SIGCONT');
  expect(code).toBe(69);
  expect(stderr).toMatch(/did not answer in time\n.*nothing was changed/);
});

test('exit codes tell what was wrong', async () => {
  const { id } = (await system.concertJson<{ activeCertificate: { id: string } }>(['fleet']))
    .activeCertificate;
  expect((await system.concert(['cert', 'delete', id])).code).toBe(1);
  expect((await system.concert(['cert', 'show', 'ffffffffffffffff'])).code).toBe(3);
  const service = join(system.data, 'identities/service/smtp');
  expect((await system.concert(['fleet', '--identity', service])).code).toBe(4);
  const alice = join(system.data, 'alice');
  const issue = ['identity', 'issue', 'operator/alice', '--out', alice];
  expect((await system.concert(issue)).code).toBe(0);
  expect((await system.concert(['fleet', '--identity', alice])).code).toBe(0);
  const elsewhere = ['fleet', '--registry', '127.0.0.1:1'];
  expect((await system.concert(elsewhere)).code).toBe(69);
});
