/** AUTH in several steps (RFC 5034), tokens and application passwords, over TLS. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { createAppPassword, createTokenVerifier, oidcSettings } from '@mail/auth';
import { LocalIssuer, ScramClient, type ScramClientOptions } from '@mail/auth/testing';
import { parseAddress } from '@mail/store';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { PASSWORD, startTestServer, type TestServer } from './testing/test-server.ts';

let pop: TestServer;
let issuer: LocalIssuer;
beforeAll(async () => {
  issuer = await LocalIssuer.start();
  const settings = { CONCERT_OIDC_ISSUER: issuer.url, CONCERT_OIDC_AUDIENCE: 'mail' };
  const tokens = createTokenVerifier(oidcSettings.parse(settings), { logger: console });
  pop = await startTestServer({}, undefined, tokens);
});
afterAll(async () => {
  await pop.close();
  await issuer.close();
});

interface Client {
  readonly socket: TLSSocket;
  /** Sends a line; resolves with the next that comes. */
  readonly ask: (line: string) => Promise<string>;
}

async function open(): Promise<Client> {
  const socket = connect({
    host: '127.0.0.1',
    port: pop.ports.tls,
    servername: 'localhost',
    ca: [...pop.certificates.trusted],
  });
  onTestFinished(() => void socket.destroy());
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => (await lines.next()).value ?? '';
  expect(await next()).toMatch(/^\+OK/);
  return {
    socket,
    ask: (line) => {
      socket.write(`${line}\r\n`);
      return next();
    },
  };
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

async function scram({ ask }: Client, options: ScramClientOptions): Promise<string> {
  const client = new ScramClient(options);
  const plus = options.bindingData === undefined ? '' : '-PLUS';
  // without an initial response: the first challenge is empty
  expect(await ask(`AUTH SCRAM-SHA-256${plus}`)).toBe('+ ');
  const first = await ask(client.first);
  if (!first.startsWith('+ ')) return first;
  const proof = await ask(client.final(first.slice(2)));
  if (!proof.startsWith('+ ')) return proof;
  expect(client.trusts(proof.slice(2))).toBe(true);
  return ask('');
}

test('SCRAM-SHA-256 and SCRAM-SHA-256-PLUS', async () => {
  const { address: user } = await pop.addAccount();
  const client = await open();
  const password = PASSWORD;
  const wrong = '-ERR [AUTH] Wrong name or password';
  expect(await scram(client, { user, password: 'wrong' })).toBe(wrong);
  expect(await scram(client, { user: 'nobody@example.test', password })).toBe(wrong);
  expect(await scram(client, { user, password, binding: 'y' })).toMatch(/^-ERR \[AUTH\] This is/);
  const bindingData = client.socket.exportKeyingMaterial(
    32,
    'EXPORTER-Channel-Binding',
    Buffer.alloc(0),
  );
  const bound = { user, password, binding: 'tls-exporter', bindingData };
  expect(await scram(client, bound)).toMatch(/^\+OK Logged in/);
});

test('LOGIN, given up and gone through', async () => {
  const { address } = await pop.addAccount();
  const { ask } = await open();
  expect(await ask('AUTH LOGIN')).toBe('+ VXNlcm5hbWU6');
  expect(await ask('*')).toBe('-ERR Cancelled');
  expect(await ask(`AUTH LOGIN ${base64(address)}`)).toBe('+ UGFzc3dvcmQ6');
  expect(await ask(base64(PASSWORD))).toMatch(/^\+OK/);
});

test('nobody acts for somebody else', async () => {
  const { address } = await pop.addAccount();
  const { ask } = await open();
  expect(await ask(`AUTH PLAIN ${base64(`root\0${address}\0${PASSWORD}`)}`)).toBe(
    '-ERR [AUTH] Nobody acts for somebody else here',
  );
});

test.each([
  ['OAUTHBEARER', 'n,,\x01auth=Bearer ', 'AQ=='],
  ['XOAUTH2', 'user=\x01auth=Bearer ', ''],
])('%s, in a line as long as a token may be', async (mechanism, head, dummy) => {
  const { address: email } = await pop.addAccount();
  const { ask } = await open();
  const say = (token: string) => base64(`${head}${token}\x01\x01`);
  expect(await ask(`AUTH ${mechanism} ${say('made-up')}`)).toMatch(/^\+ ey/);
  expect(await ask(dummy)).toBe('-ERR [AUTH] Wrong name or password');
  const token = await issuer.token({ email, groups: 'x'.repeat(4_000) });
  expect(await ask(`AUTH ${mechanism} ${say(token)}`)).toMatch(/^\+OK/);
});

test('an application password by USER and PASS', async () => {
  const account = await pop.addAccount();
  const made = await createAppPassword({
    addressKey: parseAddress(account.address)?.key ?? '',
    saltSecret: await pop.store.logins.saltSecret(),
  });
  await pop.store.appPasswords.add(account.id, { name: 'old phone', ...made });
  const { ask } = await open();
  expect(await ask(`USER ${account.address}`)).toMatch(/^\+OK/);
  expect(await ask(`PASS ${made.password}`)).toMatch(/^\+OK/);
});

const hasMpop = spawnSync('mpop', ['--version']).status === 0;

test.skipIf(!hasMpop).each(['plain', 'login', 'scram-sha-256', 'oauthbearer', 'xoauth2'])(
  'mpop fetches mail by %s (skipped where mpop is not installed)',
  async (mechanism) => {
    const { address } = await pop.addAccount(['Subject: hello\r\n\r\nhello\r\n']);
    const folder = await mkdtemp(join(tmpdir(), 'concert-mpop-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const byToken = mechanism === 'oauthbearer' || mechanism === 'xoauth2';
    const secret = join(folder, 'secret');
    await writeFile(secret, byToken ? await issuer.token({ email: address }) : PASSWORD);
    await writeFile(join(folder, 'ca.pem'), pop.certificates.trusted.join(''));
    const inbox = join(folder, 'inbox');
    await promisify(execFile)('mpop', [
      '--host=localhost',
      `--port=${pop.ports.tls}`,
      '--tls=on',
      '--tls-starttls=off',
      `--tls-trust-file=${join(folder, 'ca.pem')}`,
      `--user=${address}`,
      `--passwordeval=cat ${secret}`,
      `--auth=${mechanism}`,
      `--delivery=mbox,${inbox}`,
      `--uidls-file=${join(folder, 'uidls')}`,
    ]);
    expect(await readFile(inbox, 'utf8')).toContain('Subject: hello');
  },
);
