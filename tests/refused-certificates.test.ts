/** What would hurt is refused with its code before anything has changed, and the ports show that nothing has. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { handshake } from './testing/handshakes.ts';
import { TestPki } from './testing/pki.ts';
import { type CommandResult, startSystem } from './testing/system.ts';

let system: Awaited<ReturnType<typeof startSystem>>;
let pki: TestPki;
let good: string;
let before: string[];

async function fingerprints(): Promise<string[]> {
  const seen = await Promise.all(Object.values(system.ports).map((port) => handshake(port)));
  for (const { socket } of seen) socket.destroy();
  return seen.map(({ fingerprint }) => fingerprint);
}

const file = (name: string, ...parts: string[]): string => {
  const path = join(system.data, name);
  writeFileSync(path, parts.join('\n'));
  return path;
};

const codes = ({ stdout }: CommandResult): string[] => {
  const { error } = JSON.parse(stdout) as {
    error?: { checks?: { code: string; severity: string }[] };
  };
  return (error?.checks ?? [])
    .filter(({ severity }) => severity === 'error')
    .map(({ code }) => code);
};

const importFiles = (...files: string[]): Promise<CommandResult> =>
  system.concert(['cert', 'import', ...files, '--json']);

beforeAll(async () => {
  system = await startSystem({ CONCERT_REGISTRY_NAMES: 'mail.example.test localhost' });
  pki = await TestPki.make();
  const leaf = await pki.issue({ names: ['mail.example.test', 'localhost', 'imap.example.test'] });
  const imported = await importFiles(
    file('good.pem', leaf.certificatePem, pki.intermediatePem, leaf.privateKeyPem),
    file('root.pem', pki.rootPem),
  );
  expect(imported).toMatchObject({ code: 0 });
  good = (JSON.parse(imported.stdout) as { id: string }).id;
  const rotated = await system.concert(['cert', 'rotate', good, '--allow-name-loss', '--json']);
  expect(rotated).toMatchObject({ code: 0 });
  before = await fingerprints();
});
afterAll(() => system?.close());

test('a shuffled chain in several files, with junk between, is sorted and served in order', async () => {
  const leaf = await pki.issue({ names: ['mail.example.test', 'localhost', 'imap.example.test'] });
  const result = await importFiles(
    file('a.pem', 'Bag Attributes\n', pki.rootPem, pki.intermediatePem),
    file('b.pem', leaf.privateKeyPem, 'subject=whatever', leaf.certificatePem),
  );
  expect(result).toMatchObject({ code: 0 });
  const { id } = JSON.parse(result.stdout) as { id: string };
  expect(await system.concert(['cert', 'rotate', id, '--json'])).toMatchObject({ code: 0 });
  const { socket } = await handshake(system.ports.imaps);
  const served = socket.getPeerCertificate(true);
  expect([served.subject.CN, served.issuerCertificate.subject.CN]).toEqual([
    'mail.example.test',
    'Test Intermediate',
  ]);
  socket.destroy();
  before = await fingerprints();
});

test('a key of another certificate', async () => {
  const [one, other] = await Promise.all([
    pki.issue({ names: ['mail.example.test'] }),
    pki.issue({ names: ['mail.example.test'] }),
  ]);
  const result = await importFiles(
    file('m.pem', one.certificatePem, pki.intermediatePem, other.privateKeyPem),
  );
  expect(result.code).toBe(1);
  expect(codes(result).join()).toMatch(/key-mismatch|leaf-missing/);
});

test('a truncated file', async () => {
  const leaf = await pki.issue({ names: ['mail.example.test'] });
  const whole = `${leaf.privateKeyPem}${leaf.certificatePem}`;
  const result = await importFiles(file('t.pem', whole.slice(0, whole.length - 200)));
  expect(result.code).toBe(1);
  expect(codes(result).join()).toMatch(/malformed|leaf-missing/);
});

test('a certificate of somebody else beside ours', async () => {
  const [leaf, foreign] = await Promise.all([
    pki.issue({ names: ['mail.example.test'] }),
    TestPki.make('Foreign'),
  ]);
  const result = await importFiles(
    file(
      'f.pem',
      leaf.certificatePem,
      leaf.privateKeyPem,
      pki.intermediatePem,
      foreign.intermediatePem,
    ),
  );
  expect(result.code).toBe(1);
  expect(codes(result)).toContain('unrelated-certificate');
});

test.each([
  ['expired', { fromDays: -60, toDays: -1 }, 'expired'],
  ['not yet valid', { fromDays: 5, toDays: 60 }, 'not-yet-valid'],
  ['a client’s', { usages: ['1.3.6.1.5.5.7.3.2'] }, 'no-server-auth'],
])('%s: never in force', async (_, options, code) => {
  const leaf = await pki.issue({
    names: ['mail.example.test', 'localhost', 'imap.example.test'],
    ...options,
  });
  const imported = await importFiles(
    file('x.pem', leaf.certificatePem, pki.intermediatePem, leaf.privateKeyPem, pki.rootPem),
  );
  // it may be refused at the door or at the rotation, but by its code and without an effect
  if (imported.code !== 0) return expect(codes(imported)).toContain(code);
  const { id } = JSON.parse(imported.stdout) as { id: string };
  const rotated = await system.concert(['cert', 'rotate', id, '--json']);
  expect(rotated.code).toBe(1);
  expect(codes(rotated)).toContain(code);
  return expect(await fingerprints()).toEqual(before);
});

test('names: a required one is never lost, another only when the caller says so', async () => {
  const issue = async (...names: string[]): Promise<string> => {
    const leaf = await pki.issue({ names });
    const result = await importFiles(
      file('n.pem', leaf.certificatePem, leaf.privateKeyPem, pki.intermediatePem, pki.rootPem),
    );
    expect(result).toMatchObject({ code: 0 });
    return (JSON.parse(result.stdout) as { id: string }).id;
  };
  const noRequired = await issue('imap.example.test', 'localhost');
  const refused = await system.concert([
    'cert',
    'rotate',
    noRequired,
    '--allow-name-loss',
    '--json',
  ]);
  expect(refused.code).toBe(1);
  expect(codes(refused)).toContain('required-name-missing');

  const losing = await issue('mail.example.test', 'localhost');
  const lost = await system.concert(['cert', 'rotate', losing, '--json']);
  expect(lost.code).toBe(1);
  expect(codes(lost)).toEqual(['name-loss']);
  expect(await fingerprints()).toEqual(before);
  expect(
    await system.concert(['cert', 'rotate', losing, '--allow-name-loss', '--json']),
  ).toMatchObject({ code: 0 });

  const rolledBack = await system.concert(['cert', 'rollback', '--json']);
  expect(rolledBack).toMatchObject({ code: 0 });
  expect(await fingerprints()).toEqual(before);
});
