/** SIGKILL of the SMTP service: what was acknowledged is there, what was not is not. */

import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { ImapFlow } from 'imapflow';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSystem } from './testing/system.ts';

let system: Awaited<ReturnType<typeof startSystem>>;

beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system?.close());

/** Mail from another server, command by command, up to the text. */
async function beginMessage(): Promise<{
  ask(text: string): Promise<string>;
  send(text: string): void;
}> {
  const socket = connect(system.ports.smtp.port, '127.0.0.1');
  socket.on('error', () => {});
  const lines = createInterface(socket)[Symbol.asyncIterator]();
  const reply = async (): Promise<string> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) return '';
      if (/^\d{3} /.test(value)) return value;
    }
  };
  const ask = (text: string): Promise<string> => {
    socket.write(text);
    return reply();
  };
  await reply();
  for (const command of ['EHLO a', 'MAIL FROM:<a@b.test>', `RCPT TO:<${system.user}>`, 'DATA']) {
    expect(await ask(`${command}\r\n`)).toMatch(/^[23]/);
  }
  return { ask, send: (text) => void socket.write(text) };
}

async function subjects(): Promise<string[]> {
  const client = new ImapFlow({
    host: 'localhost',
    port: system.ports.imaps.port,
    secure: true,
    auth: { user: system.user, pass: system.password },
    tls: { rejectUnauthorized: false },
    logger: false,
  });
  await client.connect();
  await client.mailboxOpen('INBOX');
  const found = await client.fetchAll('1:*', { envelope: true });
  await client.logout();
  return found.map(({ envelope }) => envelope?.subject ?? '');
}

test('killed right after its 250, with another message half sent', async () => {
  const half = await beginMessage();
  half.send('Subject: half\r\n\r\nnot yet over\r\n');
  const whole = await beginMessage();
  expect(await whole.ask('Subject: whole\r\n\r\nover\r\n.\r\n')).toMatch(/^250 /);
  await system.kill('smtp');
  expect(await subjects()).toEqual(['whole']);
  await system.start('smtp');
  const next = await beginMessage();
  expect(await next.ask('Subject: next\r\n\r\nover\r\n.\r\n')).toMatch(/^250 /);
  expect(await subjects()).toEqual(['whole', 'next']);
});
