/**
 * The main job: mail is sent over submission, read over IMAP and POP3 with real clients, and the
 * certificate is rotated meanwhile; openssl shows each port change.
 */
import { execFile, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ImapFlow } from 'imapflow';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestPki } from './testing/pki.ts';
import { type MailPort, startSystem } from './testing/system.ts';

const run = promisify(execFile);

let system: Awaited<ReturnType<typeof startSystem>>;
let pki: TestPki;
let caFile: string;

beforeAll(async () => {
  system = await startSystem();
  pki = await TestPki.make();
  caFile = join(system.data, 'root.pem');
  writeFileSync(caFile, pki.rootPem);
  await rotateToNew();
});
afterAll(() => system?.close());

/** A certificate of the test's CA, imported and put in force by the operator's command. */
async function rotateToNew(): Promise<string> {
  const leaf = await pki.issue({ names: ['localhost', 'mail.example.test'] });
  const file = join(system.data, 'next.pem');
  writeFileSync(file, `${leaf.privateKeyPem}${leaf.certificatePem}${pki.intermediatePem}`);
  const { id, fingerprintSha256 } = await system.concertJson<{
    id: string;
    fingerprintSha256: string;
  }>(['cert', 'import', file, caFile]);
  await system.concertJson(['cert', 'rotate', id]);
  return fingerprintSha256;
}

/** What `openssl s_client` is shown, with the chain verified against the test's root. */
async function opensslFingerprint({ port, protocol, startTls }: MailPort): Promise<string> {
  const starttls = startTls ? ['-starttls', protocol] : [];
  const client = run('openssl', [
    's_client',
    '-connect',
    `127.0.0.1:${port}`,
    '-servername',
    'localhost',
    ...starttls,
    '-CAfile',
    caFile,
    '-verify_hostname',
    'localhost',
    '-verify_return_error',
    '-showcerts',
  ]);
  client.child.stdin?.end();
  const { stdout } = await client;
  expect(stdout).toContain('Verify return code: 0 (ok)');
  const [pem = ''] =
    /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/.exec(stdout) ?? [];
  return new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
}

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const hasPython = spawnSync('python3', ['--version']).status === 0;

test('nodemailer sends, imapflow reads and is told of what comes, all over verified TLS and a rotation', async () => {
  const { user, password, ports } = system;
  const tls = { ca: pki.rootPem, servername: 'localhost' };
  const transports = [
    createTransport({
      host: 'localhost',
      port: ports.submissions.port,
      secure: true,
      auth: { user, pass: password },
      tls,
      pool: true,
      maxConnections: 1,
    }),
    createTransport({
      host: 'localhost',
      port: ports.submission.port,
      requireTLS: true,
      auth: { user, pass: password },
      tls,
      pool: true,
      maxConnections: 1,
    }),
  ];
  const reader = new ImapFlow({
    host: 'localhost',
    port: ports.imaps.port,
    secure: true,
    auth: { user, pass: password },
    tls,
    logger: false,
  });
  let closed = false;
  reader.on('close', () => {
    closed = true;
  });
  await reader.connect();
  await reader.mailboxOpen('INBOX');
  // IDLE stands open over the switch; every message is told by EXISTS
  const allFour = new Promise<void>((resolve) => {
    reader.on('exists', ({ count }: { count: number }) => {
      if (count === 4) resolve();
    });
  });
  reader.idle().catch(() => {});

  const send = (subject: string): Promise<unknown[]> =>
    Promise.all(
      transports.map((transport, index) =>
        transport.sendMail({
          from: user,
          to: user,
          subject: `${subject} ${index}`,
          text: 'Grüße\n.\n..dots\n',
          attachments: [{ filename: 'a.txt', content: 'attached' }],
        }),
      ),
    );
  await send('before');
  const fingerprint = await rotateToNew();
  await send('after');
  await allFour;

  const subjects: string[] = [];
  for await (const message of reader.fetch('1:*', {
    envelope: true,
    bodyStructure: true,
    source: true,
  })) {
    subjects.push(message.envelope?.subject ?? '');
    expect(message.bodyStructure?.childNodes?.map(({ type }) => type)).toEqual([
      'text/plain',
      'text/plain',
    ]);
    expect(message.source?.toString()).toContain('\r\nSubject: ');
  }
  expect(subjects.sort()).toEqual(['after 0', 'after 1', 'before 0', 'before 1']);
  // the pooled connections and the reader have lived through the switch
  expect(closed).toBe(false);
  await reader.messageFlagsAdd('1', ['\\Flagged']);
  await reader.logout();
  for (const transport of transports) transport.close();

  // whoever connects now sees the new one
  const late = new ImapFlow({
    host: 'localhost',
    port: ports.imap.port,
    secure: false,
    auth: { user, pass: password },
    tls,
    logger: false,
  });
  await late.connect();
  const status = await late.status('INBOX', { messages: true, unseen: true });
  expect(status).toMatchObject({ messages: 4 });
  await late.logout();
  if (hasOpenssl) expect(await opensslFingerprint(ports.imaps)).toBe(fingerprint);
});

test.skipIf(!hasOpenssl)(
  'openssl s_client sees every port change, with the whole chain',
  async () => {
    const ports = Object.values(system.ports);
    const before = new Set(await Promise.all(ports.map(opensslFingerprint)));
    expect(before.size).toBe(1);
    const fingerprint = await rotateToNew();
    const after = new Set(await Promise.all(ports.map(opensslFingerprint)));
    expect(after).toEqual(new Set([fingerprint]));
    expect(before).not.toEqual(after);
  },
);

test.skipIf(!hasPython)(
  'poplib reads and deletes over a rotation in the middle of its transaction',
  async () => {
    const { password, ports } = system;
    const address = 'pop@example.test';
    await system.concertJson(['account', 'add', address, '--password-stdin'], `${password}\n`);
    const transport = createTransport({
      host: 'localhost',
      port: ports.submissions.port,
      secure: true,
      auth: { user: system.user, pass: password },
      tls: { ca: pki.rootPem, servername: 'localhost' },
    });
    for (const subject of ['one', 'two', 'three']) {
      await transport.sendMail({ from: system.user, to: address, subject, text: `.${subject}\n` });
    }
    const script = `
import poplib, ssl, sys
context = ssl.create_default_context(cafile=${JSON.stringify(caFile)})
pop = poplib.POP3_SSL('localhost', ${ports.pop3s.port}, context=context)
pop.user(${JSON.stringify(address)}); pop.pass_(${JSON.stringify(password)})
assert pop.stat()[0] == 3
first = b'\\n'.join(pop.retr(1)[1])
assert b'.one' in first, first
print('waiting', flush=True)
sys.stdin.readline()
pop.dele(1)
assert len(pop.list()[1]) == 2
pop.quit()
again = poplib.POP3('localhost', ${ports.pop3.port})
again.stls(context=context)
again.user(${JSON.stringify(address)}); again.pass_(${JSON.stringify(password)})
assert again.stat()[0] == 2
again.quit()
print('done', flush=True)
`;
    const client = run('python3', ['-c', script]);
    await new Promise((resolve) => client.child.stdout?.once('data', resolve));
    await rotateToNew();
    client.child.stdin?.end('\n');
    expect((await client).stdout).toMatch(/done/);
  },
);
