/** Clients that people have, against the real service: Python's poplib and curl. */
import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PASSWORD, startTestServer, type TestServer } from './testing/test-server.ts';

const run = promisify(execFile);

/** Without it its test is skipped, except in CI, where nothing may go unsaid. */
function isMissing(program: string): boolean {
  if (process.env['CI']) return false;
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return true;
  }
}

const SMALL = 'From: a@example.test\r\nSubject: small\r\n\r\n.dot\r\n..\r\n.\r\nend\r\n';
/** Larger than any buffer on the way; some lines begin with dots. */
const LARGE = `Subject: large\r\n\r\n${Array.from(
  { length: 80_000 },
  (_, at) => `${at % 7 === 0 ? '.' : ''}${randomBytes(36).toString('base64')}\r\n`,
).join('')}`;

const POPLIB = `
import hashlib, json, poplib, ssl, sys
user, password, port, tls_port, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
pop = poplib.POP3('localhost', int(port), timeout=20)
pop.stls(context)
pop.user(user); pop.pass_(password)
seen = {'stat': pop.stat(), 'capa': sorted(pop.capa()), 'sizes': pop.list()[1][0].decode()}
seen['uidl'] = [line.split()[0].decode() for line in pop.uidl()[1]]
seen['small'] = b'\\r\\n'.join(pop.retr(1)[1]).decode()
seen['large'] = hashlib.sha256(b'\\r\\n'.join(pop.retr(2)[1]) + b'\\r\\n').hexdigest()
seen['top'] = b'\\r\\n'.join(pop.top(1, 1)[1]).decode()
pop.dele(1); pop.quit()
pop = poplib.POP3_SSL('localhost', int(tls_port), context=context, timeout=20)
pop.user(user); pop.pass_(password)
seen['left'] = pop.stat()[0]
pop.quit()
print(json.dumps(seen))
`;

let pop: TestServer;
let folder = '';
let ca = '';
beforeAll(async () => {
  pop = await startTestServer();
  folder = await mkdtemp(join(tmpdir(), 'concert-pop-clients-'));
  ca = join(folder, 'ca.pem');
  await writeFile(ca, pop.certificates.trusted.join('\n'));
});
afterAll(async () => {
  await pop.close();
  await rm(folder, { recursive: true });
});

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describe('clients', () => {
  it.skipIf(isMissing('python3'))("Python's poplib", async () => {
    const account = await pop.addAccount([SMALL, LARGE]);
    const { starttls, tls } = pop.ports;
    const args = ['-c', POPLIB, account.address, PASSWORD, String(starttls), String(tls), ca];
    const { stdout } = await run('python3', args);
    expect(JSON.parse(stdout)).toEqual({
      stat: [2, SMALL.length + LARGE.length],
      capa: [
        'AUTH-RESP-CODE',
        'EXPIRE',
        'IMPLEMENTATION',
        'PIPELINING',
        'RESP-CODES',
        'SASL',
        'TOP',
        'UIDL',
        'USER',
      ],
      sizes: `1 ${SMALL.length}`,
      uidl: ['1', '2'],
      small: SMALL.slice(0, -2),
      large: sha256(LARGE),
      top: 'From: a@example.test\r\nSubject: small\r\n\r\n.dot',
      left: 1,
    });
  });

  it.skipIf(isMissing('curl'))('curl', async () => {
    const account = await pop.addAccount([SMALL, LARGE]);
    const common = [
      '--silent',
      '--show-error',
      '--cacert',
      ca,
      '--user',
      `${account.address}:${PASSWORD}`,
    ];
    const list = await run('curl', [...common, `pop3s://localhost:${pop.ports.tls}/`]);
    expect(list.stdout).toBe(`1 ${SMALL.length}\r\n2 ${LARGE.length}\r\n`);
    const options = { maxBuffer: 2 * LARGE.length };
    const url = `pop3://localhost:${pop.ports.starttls}`;
    const one = await run('curl', [...common, '--ssl-reqd', `${url}/1`], options);
    expect(one.stdout).toBe(SMALL);
    const two = await run('curl', [...common, '--ssl-reqd', `${url}/2`], options);
    expect(sha256(two.stdout)).toBe(sha256(LARGE));
  });
});
