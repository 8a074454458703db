import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HttpChallenge } from './http-challenge.ts';

const PREFIX = '/.well-known/acme-challenge/';
const proof = { name: 'a.example', token: 'tok-en_1', value: 'tok-en_1.thumbprint' };

let challenge: HttpChallenge;

beforeEach(async () => {
  challenge = new HttpChallenge({ host: '127.0.0.1', port: 0 });
  await challenge.listen();
});
afterEach(() => challenge.close());

/** Everything that a request written by hand is answered with. */
async function talk(request: string): Promise<string> {
  const socket = connect(challenge.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.end(request);
  const chunks = await socket.toArray().catch(() => []);
  return Buffer.concat(chunks).toString('latin1');
}
const ask = (path: string, method = 'GET') =>
  talk(`${method} ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`);

test('pending tokens are answered, by GET and HEAD, and only until the proof is taken away', async () => {
  const takeAway = await challenge.provide([proof]);
  expect(await ask(PREFIX + proof.token)).toMatch(
    /^HTTP\/1\.1 200 [\s\S]*\r\n\r\ntok-en_1\.thumbprint$/,
  );
  expect(await ask(PREFIX + proof.token, 'HEAD')).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n$/);
  await takeAway();
  expect(await ask(PREFIX + proof.token)).toMatch(/^HTTP\/1\.1 404 /);
});

test.each([
  ['another token', `${PREFIX}other`, 'GET'],
  ['no token', PREFIX, 'GET'],
  ['a query', `${PREFIX}${proof.token}?x`, 'GET'],
  ['another path', '/', 'GET'],
  ['a way up', `${PREFIX}../acme-challenge/${proof.token}`, 'GET'],
  ['a name of objects', `${PREFIX}__proto__`, 'GET'],
  ['POST', PREFIX + proof.token, 'POST'],
  ['DELETE', PREFIX + proof.token, 'DELETE'],
])('%s is not found', async (_, path, method) => {
  await challenge.provide([proof]);
  const answer = await ask(path, method);
  expect(answer).toMatch(/^HTTP\/1\.1 404 /);
  expect(answer).toMatch(/\r\nconnection: close\r\n/i);
});

test('whatever is sent, the proof is not in the answer, and the next one is answered', async () => {
  await challenge.provide([proof]);
  const line = fc.string({ unit: 'binary', maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(line, fc.boolean(), async (text, asPath) => {
      const request = asPath ? `GET ${PREFIX}${text} HTTP/1.1\r\nHost: a\r\n\r\n` : text;
      expect(await talk(request)).not.toContain('thumbprint');
    }),
    { numRuns: 50 },
  );
  expect(await ask(PREFIX + proof.token)).toContain('thumbprint');
});

test('headers beyond the limit are refused', async () => {
  const request = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`;
  expect(await talk(request)).toMatch(/^HTTP\/1\.1 431 /);
});

test('a token that is no token is no key to anything, and none beside it is answered', async () => {
  const proofs = [proof, { ...proof, token: '../x' }];
  await expect(challenge.provide(proofs)).rejects.toMatchObject({ code: 'bad-answer' });
  expect(await ask(PREFIX + proof.token)).toMatch(/^HTTP\/1\.1 404 /);
});

test('a port that is taken is named', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const second = new HttpChallenge({ host: '127.0.0.1', port });
  await expect(second.listen()).rejects.toMatchObject({
    code: 'not-listening',
    message: expect.stringMatching(
      `cannot listen on 127.0.0.1:${port} for http-01 \\(EADDRINUSE\\)`,
    ),
  });
  other.close();
});

test('who holds connections open, and opens them again, keeps nobody from the proof', async () => {
  await challenge.provide([proof]);
  const held = new Set<Socket>();
  let ends = false;
  const hold = async (): Promise<void> => {
    const socket = connect(challenge.port, '127.0.0.1');
    held.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      held.delete(socket);
      if (!ends) void hold();
    });
    await once(socket, 'connect').catch(() => {});
  };
  await Promise.all(Array.from({ length: 300 }, hold));
  for (let count = 0; count < 40; count += 1) {
    expect(await ask(PREFIX + proof.token)).toContain('thumbprint');
  }
  ends = true;
  for (const socket of held) socket.destroy();
});
