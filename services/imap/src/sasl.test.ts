/** AUTHENTICATE as clients do it: SCRAM with channel bindings across a switch, tokens, programs that people have. */
import { execFile, execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { createAppPassword, createTokenVerifier, oidcSettings } from '@mail/auth';
import { LocalIssuer, ScramClient, type ScramClientOptions } from '@mail/auth/testing';
import { type Account, parseAddress } from '@mail/store';
import { ImapFlow } from 'imapflow';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { PASSWORD, startTestServer, type TestServer } from './testing/test-server.ts';

const run = promisify(execFile);

let server: TestServer;
let issuer: LocalIssuer;
let account: Account;
let folder = '';
let ca = '';
beforeAll(async () => {
  issuer = await LocalIssuer.start();
  const settings = { CONCERT_OIDC_ISSUER: issuer.url, CONCERT_OIDC_AUDIENCE: 'mail' };
  const tokens = createTokenVerifier(oidcSettings.parse(settings), { logger: console });
  server = await startTestServer({}, tokens);
  account = await server.addAccount();
  folder = await mkdtemp(join(tmpdir(), 'concert-imap-sasl-'));
});
afterAll(async () => {
  await server.close();
  await issuer.close();
  await rm(folder, { recursive: true });
});

/** The certificate in force. Of several that have one name, clients try the first alone. */
const trusted = (): string => server.trusted.at(-1) ?? '';

interface Client {
  readonly socket: TLSSocket;
  /** "" where it came before TLS. */
  readonly greeting: string;
  /** Sends a line; resolves with the next that comes. */
  readonly ask: (line: string) => Promise<string>;
}

/** Lines to and from a TLS connection that is greeted, over either port. */
async function open(
  mode: 'tls' | 'starttls',
  options: { maxVersion?: 'TLSv1.2' } = {},
): Promise<Client> {
  const trust = { ca: trusted(), servername: 'localhost', ...options };
  const port = server.ports[mode];
  let socket: TLSSocket;
  if (mode === 'tls') {
    socket = connect({ host: '127.0.0.1', port, ...trust });
  } else {
    const plain = connectTcp({ host: '127.0.0.1', port });
    const heard = async () => {
      const [octets] = (await once(plain, 'data')) as [Buffer];
      return octets.toString();
    };
    await heard();
    plain.write('s STARTTLS\r\n');
    expect(await heard()).toMatch(/^s OK/);
    socket = connect({ socket: plain, ...trust });
  }
  onTestFinished(() => void socket.destroy());
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => (await lines.next()).value ?? '';
  return {
    socket,
    greeting: mode === 'tls' ? await next() : '',
    ask: (line) => {
      socket.write(`${line}\r\n`);
      return next();
    },
  };
}

const challengeOf = (line: string): string => {
  expect(line).toMatch(/^\+ /);
  return line.slice(2);
};

/** The completion of a SCRAM exchange; our own proof is checked on the way. */
async function scram({ ask }: Client, options: Partial<ScramClientOptions> = {}): Promise<string> {
  const plus = options.bindingData !== undefined;
  const client = new ScramClient({ user: account.address, password: PASSWORD, ...options });
  const mechanism = plus ? 'SCRAM-SHA-256-PLUS' : 'SCRAM-SHA-256';
  const first = await ask(`a AUTHENTICATE ${mechanism} ${client.first}`);
  if (!first.startsWith('+ ')) return first;
  const proof = await ask(client.final(challengeOf(first)));
  if (!proof.startsWith('+ ')) return proof;
  expect(client.trusts(challengeOf(proof))).toBe(true);
  return ask('');
}

const exporterOf = (socket: TLSSocket): Buffer =>
  socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
/** The certificates of tests are signed by ECDSA with SHA-256. */
const endPointOf = (pem: string): Buffer =>
  createHash('sha256').update(new X509Certificate(pem).raw).digest();

describe('SCRAM', () => {
  test('logs in, and tells a wrong password from nothing', async () => {
    const client = await open('tls');
    expect(await scram(client, { password: 'wrong' })).toMatch(/^a NO \[AUTHENTICATIONFAILED\]/);
    expect(await scram(client, { user: 'nobody@example.test' })).toMatch(
      /^a NO \[AUTHENTICATIONFAILED\]/,
    );
    expect(await scram(client, { authorizationId: 'root' })).toMatch(
      /^a NO \[AUTHORIZATIONFAILED\]/,
    );
    expect(await scram(client)).toMatch(/^a OK \[CAPABILITY/);
  });

  test('tells a stranger the same salt for ever, whether or not there is the account', async () => {
    const saltOf = async (user: string): Promise<string> => {
      const { ask } = await open('tls');
      const { first } = new ScramClient({ user, password: 'x' });
      const challenge = challengeOf(await ask(`a AUTHENTICATE SCRAM-SHA-256 ${first}`));
      const [, rest = ''] = /(,s=.*)$/.exec(Buffer.from(challenge, 'base64').toString()) ?? [];
      return rest;
    };
    const before = await saltOf('later@example.test');
    expect(before).toMatch(/^,s=[A-Za-z0-9+/]{22}==,i=65536$/);
    expect(await saltOf('LATER@example.test')).toBe(before);
    const { id } = await server.store.accounts.add('later@example.test', 'hash');
    expect(await saltOf('later@example.test')).toBe(before);
    await server.store.accounts.setPassword(id, { passwordHash: 'hash' });
    expect(await saltOf('later@example.test')).toBe(before);
    expect(await saltOf('other@example.test')).not.toBe(before);
  });

  test('takes application passwords', async () => {
    const owner = {
      addressKey: parseAddress(account.address)?.key ?? '',
      saltSecret: await server.store.logins.saltSecret(),
    };
    const own = await server.store.accounts.add('app@example.test', 'hash');
    const made = await createAppPassword({ ...owner, addressKey: 'app@example.test' });
    await server.store.appPasswords.add(own.id, { name: 'phone', ...made });
    const given = { user: own.address, password: made.password };
    expect(await scram(await open('tls'), given)).toMatch(/^a OK/);
    expect(await scram(await open('tls'), { ...given, user: account.address })).toMatch(/^a NO/);
  });

  test.each(['tls', 'starttls'] as const)(
    'is bound to the session and certificate of a connection over %s that was there before a switch',
    async (mode) => {
      const early = [await open(mode), await open(mode), await open(mode)] as const;
      const certificate = trusted();
      await server.switchCertificate();
      const next = trusted();
      expect(next).not.toBe(certificate);
      const late = [await open(mode), await open(mode)] as const;

      const session = (client: Client, from = client) =>
        scram(client, { binding: 'tls-exporter', bindingData: exporterOf(from.socket) });
      const endPoint = (client: Client, pem: string) =>
        scram(client, { binding: 'tls-server-end-point', bindingData: endPointOf(pem) });
      const refused = /^a NO \[AUTHENTICATIONFAILED\] This is another TLS session than yours/;
      // another session of the same certificate, then its own
      expect(await session(early[0], early[1])).toMatch(refused);
      expect(await session(early[0])).toMatch(/^a OK/);
      // the certificate that is in force now, then the one that the connection was made under
      expect(await endPoint(early[2], next)).toMatch(refused);
      expect(await endPoint(early[2], certificate)).toMatch(/^a OK/);
      expect(await endPoint(late[0], certificate)).toMatch(refused);
      expect(await endPoint(late[0], next)).toMatch(/^a OK/);
      expect(await session(late[1])).toMatch(/^a OK/);
    },
  );

  test('refuses to be played down', async () => {
    const client = await open('tls');
    expect(await scram(client, { binding: 'y' })).toMatch(/^a NO \[AUTHENTICATIONFAILED\]/);
  });

  test('has no binding in TLS 1.2, where the exporter is not bound to the session', async () => {
    const client = await open('tls', { maxVersion: 'TLSv1.2' });
    expect(client.greeting).toContain(' AUTH=SCRAM-SHA-256 ');
    expect(client.greeting).not.toContain('SCRAM-SHA-256-PLUS');
    expect(await scram(client, { binding: 'y' })).toMatch(/^a OK/);
  });
});

describe('a token', () => {
  const bearer = (user: string, token: string) =>
    Buffer.from(`n,a=${user},\x01host=localhost\x01auth=Bearer ${token}\x01\x01`).toString(
      'base64',
    );
  const xoauth2 = (user: string, token: string) =>
    Buffer.from(`user=${user}\x01auth=Bearer ${token}\x01\x01`).toString('base64');

  test.each([
    ['OAUTHBEARER', bearer, 'AQ=='],
    ['XOAUTH2', xoauth2, ''],
  ])('logs in by %s; what is wrong is told, and then that it failed', async (name, say, dummy) => {
    const { ask, greeting } = await open('tls');
    expect(greeting).toContain(` AUTH=${name} `);
    const old = await issuer.token({ email: account.address, exp: 1 });
    const problem = challengeOf(await ask(`a AUTHENTICATE ${name} ${say(account.address, old)}`));
    expect(JSON.parse(Buffer.from(problem, 'base64').toString())).toEqual(
      name === 'XOAUTH2'
        ? { status: '401', schemes: 'bearer', scope: '' }
        : {
            status: 'invalid_token',
            'openid-configuration': `${issuer.url}/.well-known/openid-configuration`,
          },
    );
    expect(await ask(dummy)).toMatch(/^a NO \[AUTHENTICATIONFAILED\]/);
    const good = await issuer.token({ email: account.address });
    expect(await ask(`b AUTHENTICATE ${name} ${say('other@example.test', good)}`)).toMatch(/^\+ /);
    expect(await ask(dummy)).toMatch(/^b NO \[AUTHORIZATIONFAILED\]/);
    expect(challengeOf(await ask(`d AUTHENTICATE ${name}`))).toBe('');
    expect(await ask(say(account.address, good))).toMatch(/^d OK \[CAPABILITY/);
  });

  test('logs imapflow in', async () => {
    const client = new ImapFlow({
      host: 'localhost',
      port: server.ports.tls,
      secure: true,
      auth: {
        user: account.address,
        accessToken: await issuer.token({ email: account.address }),
      },
      tls: { ca: trusted() },
      logger: false,
    });
    onTestFinished(() => client.close());
    await client.connect();
    expect((await client.list()).length).toBeGreaterThan(0);
  });
});

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('programs', () => {
  beforeAll(async () => {
    ca = join(folder, 'ca.pem');
    await writeFile(ca, trusted());
  });

  test
    .skipIf(!isInstalled('gsasl'))
    .each([['SCRAM-SHA-256-PLUS'], ['SCRAM-SHA-256'], ['LOGIN'], ['PLAIN']])(
    'gsasl: %s (skipped where gsasl is not installed)',
    async (mechanism) => {
      const { port, address } = { port: server.ports.starttls, ...account };
      const args = ['--imap', '--starttls', `--x509-ca-file=${ca}`, `--mechanism=${mechanism}`];
      const who = ['--authentication-id', address, '--authorization-id', address];
      const rest = ['--hostname=localhost', '--no-cb'];
      const plus = mechanism.endsWith('PLUS');
      const running = run('gsasl', [
        ...args,
        ...who,
        ...(plus ? rest.slice(0, 1) : rest),
        '--password',
        PASSWORD,
        `--connect=localhost:${port}`,
      ]);
      // it sends what it reads once it is logged in
      running.child.stdin?.end();
      const { stdout } = await running;
      expect(stdout).toMatch(/OK \[CAPABILITY/);
    },
  );

  test.skipIf(!isInstalled('curl')).each(['PLAIN', 'LOGIN'])(
    'curl: %s (skipped where curl is not installed)',
    async (mechanism) => {
      const { stdout } = await run('curl', [
        '--silent',
        '--show-error',
        `--cacert`,
        ca,
        '--login-options',
        `AUTH=${mechanism}`,
        '--user',
        `${account.address}:${PASSWORD}`,
        `imaps://localhost:${server.ports.tls}/`,
      ]);
      expect(stdout).toContain('INBOX');
    },
  );

  test.skipIf(!isInstalled('python3'))(
    'imaplib: PLAIN (skipped where python3 is not installed)',
    async () => {
      const script = `
import imaplib, ssl, sys
host, port, ca, user, password = sys.argv[1:]
client = imaplib.IMAP4_SSL(host, int(port), ssl_context=ssl.create_default_context(cafile=ca))
print(client.authenticate('PLAIN', lambda _: ('\\0%s\\0%s' % (user, password)).encode()))
print(client.select())
client.logout()
`;
      const where = ['localhost', String(server.ports.tls), ca];
      const { stdout } = await run('python3', ['-c', script, ...where, account.address, PASSWORD]);
      expect(stdout).toMatch(/\('OK', \[.*Logged in.*\]\)\n\('OK'/);
    },
  );
});
