import { execFile, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as tls from 'node:tls';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { runTranscript } from '@mail/line-server/testing';
import nodemailer from 'nodemailer';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  MAX_COMMANDS_WITHOUT_PROGRESS,
  MAX_HEADER_BYTES,
  MAX_HOPS,
  PROGRESS_TIMEOUT_MS,
} from './config.ts';
import { PASSWORD, RawClient, type RunningApp, startApp } from './testing/running-app.ts';

const run = promisify(execFile);
const ALICE = 'alice@example.test';
const BOB = 'bob@example.test';
const AUTH = Buffer.from(`\0${ALICE}\0${PASSWORD}`).toString('base64');

/** Peers that must not be missing where nobody sees that a test was skipped. */
const REQUIRED = process.env['CI'] === 'true' ? ['python3', 'curl'] : [];

/** Peers that a machine may lack. */
function installed(program: string): boolean {
  return (
    REQUIRED.includes(program) || spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
  );
}

let app: RunningApp;

beforeAll(async () => {
  app = await startApp();
});

afterAll(() => app.close());

/** The last message of bob. */
async function lastOfBob(): Promise<string> {
  return (await app.inbox(BOB)).at(-1) ?? '';
}

function transport(port: number, secure: boolean, options: object = {}) {
  return nodemailer.createTransport({
    host: '127.0.0.1',
    port,
    secure,
    auth: { user: ALICE, pass: PASSWORD },
    tls: { ca: app.certificates.trusted.join(''), servername: 'localhost' },
    ...options,
  });
}

describe('clients', () => {
  test.each([
    ['STARTTLS', () => transport(app.ports.submission, false, { requireTLS: true })],
    ['implicit TLS', () => transport(app.ports.submissions, true)],
    ['AUTH LOGIN', () => transport(app.ports.submissions, true, { authMethod: 'LOGIN' })],
  ])('nodemailer by %s', async (_name, open) => {
    const { response } = await open().sendMail({ from: ALICE, to: BOB, text: '.dot\n..dots' });
    expect(response).toMatch(/^250 2\.6\.0 /);
    expect(await lastOfBob()).toContain('\r\n.dot\r\n..dots\r\n');
  });

  test.skipIf(!installed('python3'))("Python's smtplib", async () => {
    const script = `
import smtplib, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
with smtplib.SMTP('localhost', int(sys.argv[1])) as smtp:
    smtp.starttls(context=context)
    smtp.login('${ALICE}', '${PASSWORD}')
    smtp.sendmail('${ALICE}', ['${BOB}'], 'Subject: python\\r\\n\\r\\nhello\\r\\n')
`;
    await run('python3', ['-c', script, String(app.ports.submission), app.caFile]);
    expect(await lastOfBob()).toContain('Subject: python');
  });

  test.skipIf(!installed('swaks'))('swaks', async () => {
    await run('swaks', [
      ...['--server', 'localhost', '--port', String(app.ports.mx), '--pipeline'],
      ...['--from', 'sender@remote.test', '--to', BOB, '--body', 'by swaks'],
    ]);
    expect(await lastOfBob()).toContain('by swaks');
  });

  test.skipIf(!installed('curl'))('curl', async () => {
    const file = join(app.folder, 'message.eml');
    await writeFile(file, 'Subject: curl\r\n\r\nhello\r\n');
    await run('curl', [
      ...['--silent', '--show-error', '--cacert', app.caFile, '--user', `${ALICE}:${PASSWORD}`],
      ...['--mail-from', ALICE, '--mail-rcpt', BOB, '--upload-file', file],
      `smtps://localhost:${app.ports.submissions}`,
    ]);
    expect(await lastOfBob()).toContain('Subject: curl');
  });

  test('fifty sessions at once', async () => {
    const before = (await app.inbox(BOB)).length;
    const text = Buffer.alloc(20_000, 'x').toString();
    await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const client = await RawClient.connect(app.ports.mx);
        await client.beginMessage(BOB);
        expect(await client.ask(`Subject: ${index}\r\n\r\n${text}\r\n.\r\n`)).toMatch(/^250 /);
        expect(await client.ask('QUIT\r\n')).toMatch(/^221 /);
      }),
    );
    expect((await app.inbox(BOB)).length - before).toBe(50);
  });
});

describe('submission', () => {
  test('offers and takes AUTH over TLS only', () =>
    runTranscript(
      `
      S: 220 mail.example.test ESMTP
      C: EHLO client.test
      S: 250-mail.example.test at your service
      S: 250-PIPELINING
      S: 250-8BITMIME
      S: 250-ENHANCEDSTATUSCODES
      S: 250-STARTTLS
      S: 250 SIZE 52428800
      C: AUTH PLAIN ${AUTH}
      S: 500 5.5.2 <any>
      C: MAIL FROM:<${ALICE}>
      S: 530 5.7.0 Use STARTTLS first
      C: STARTTLS
      S: 220 2.0.0 Ready to start TLS
      TLS
      C: MAIL FROM:<${ALICE}>
      S: 503 5.5.1 <any>
      C: EHLO client.test
      S...
      S: 250-AUTH PLAIN LOGIN
      S...
      S: 250 SIZE <any>
      C: MAIL FROM:<${ALICE}>
      S: 530 5.7.0 Log in first
      C: AUTH PLAIN ${AUTH}
      S: 235 2.7.0 <any>
      C: AUTH PLAIN ${AUTH}
      S: 503 5.5.1 <any>
      C: MAIL FROM:<${ALICE}>
      S: 250 2.1.0 <any>
      C: QUIT
      S: 221 2.0.0 <any>
      CLOSED
      `,
      { port: app.ports.submission },
    ));

  test('an account sends as itself, or as nobody, to local mailboxes', () =>
    runTranscript(
      `
      S: 220 <any>
      C: EHLO client.test
      S...
      S: 250 SIZE <any>
      C: AUTH PLAIN ${AUTH}
      S: 235 <any>
      C: MAIL FROM:<${BOB}>
      S: 553 5.7.1 You may send as ${ALICE} only
      C: MAIL FROM:<ALICE@EXAMPLE.TEST>
      S: 250 <any>
      C: RCPT TO:<someone@elsewhere.test>
      S: 550 5.1.2 <any>relaying<any>
      C: RCPT TO:<nobody@example.test>
      S: 550 5.1.1 <any>
      C: DATA
      S: 503 5.5.1 <any>
      C: RSET
      S: 250 <any>
      C: MAIL FROM:<> SIZE=100 BODY=8BITMIME AUTH=<>
      S: 250 <any>
      C: RCPT TO:<${BOB}>
      S: 250 2.1.5 <any>
      `,
      { port: app.ports.submissions, implicitTls: true },
    ));

  test('a wrong password and an unknown account sound alike, and the fifth is the last', async () => {
    const wrong = (name: string) => Buffer.from(`\0${name}\0wrong`).toString('base64');
    await runTranscript(
      `
      S: 220 <any>
      C: EHLO client.test
      S...
      S: 250 SIZE <any>
      C: AUTH PLAIN ${wrong(BOB)}
      S: 535 5.7.8 Wrong address or password
      C: AUTH PLAIN ${wrong('nobody@example.test')}
      S: 535 5.7.8 Wrong address or password
      C: AUTH PLAIN ${Buffer.from(`${BOB}\0${ALICE}\0${PASSWORD}`).toString('base64')}
      S: 535 5.7.8 Nobody acts for somebody else here
      C: AUTH LOGIN
      S: 334 <any>
      C: *
      S: 501 <any>
      C: AUTH PLAIN ${wrong(BOB)}
      S: 535 5.7.8 Wrong address or password
      C: AUTH PLAIN ${wrong(BOB)}
      S: 421 4.7.0 Too many failed logins
      CLOSED
      `,
      { port: app.ports.submissions, implicitTls: true },
    );
  });

  test('adds Date and Message-ID where they are missing, and only there', async () => {
    await transport(app.ports.submissions, true).sendMail({
      envelope: { from: ALICE, to: [BOB] },
      raw: 'Subject: bare\r\nReturn-Path: <forged@evil.test>\r\n\r\nhello\r\n',
    });
    const text = await lastOfBob();
    expect(text).toMatch(
      new RegExp(
        [
          '^Return-Path: <alice@example\\.test>',
          'Received: from \\S+ \\(\\[127\\.0\\.0\\.1\\]\\)',
          '\\tby mail\\.example\\.test with ESMTPSA id \\S+',
          '\\tfor <bob@example\\.test>',
          '\\ttls TLS_AES_128_GCM_SHA256 \\(TLSv1\\.3, generation 1\\);',
          '\\t\\w{3}, \\d\\d \\w{3} \\d{4} \\d\\d:\\d\\d:\\d\\d \\+0000',
          'Date: .* \\+0000',
          'Message-ID: <[0-9a-f-]{36}@mail\\.example\\.test>',
          'Subject: bare',
          '',
          'hello',
          '$',
        ].join('\r\n'),
      ),
    );
    const whole = 'Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <a@b>\r\n\r\nhello\r\n';
    const envelope = { from: ALICE, to: [ALICE, BOB] };
    await transport(app.ports.submissions, true).sendMail({ envelope, raw: whole });
    const second = await lastOfBob();
    expect(second.endsWith(`+0000\r\n${whole}`)).toBe(true);
    // who else got it is no reader's business
    expect(second).not.toContain('for <');
  });
});

describe('a session that gets nowhere', () => {
  test('may send so many commands, and a message begins the count anew', async () => {
    const client = await RawClient.connect(app.ports.mx);
    const idle = async (commands: number) => {
      for (let sent = 0; sent < commands; sent += 1) {
        expect(await client.ask('NOOP\r\n')).toMatch(/^250 /);
      }
    };
    // EHLO, MAIL and RSET are among them
    await idle(MAX_COMMANDS_WITHOUT_PROGRESS - 2);
    await client.beginMessage(BOB);
    expect(await client.ask('Subject: slow\r\n\r\nhello\r\n.\r\n')).toMatch(/^250 /);
    await idle(MAX_COMMANDS_WITHOUT_PROGRESS - 1);
    expect(await client.ask('RSET\r\n')).toMatch(/^250 /);
    expect(await client.ask('NOOP\r\n')).toBe('421 4.7.0 Too many commands without a message');
    expect(await client.reply()).toBe('');
  });

  describe('by the clock', () => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
    afterEach(() => void vi.useRealTimers());

    test('ends, a message under way does not', async () => {
      const idle = await RawClient.connect(app.ports.submission);
      await idle.ask('EHLO client.test\r\n');
      const busy = await RawClient.connect(app.ports.mx);
      const sender = await RawClient.connect(app.ports.mx);
      vi.advanceTimersByTime(PROGRESS_TIMEOUT_MS - 1_000);
      await busy.beginMessage(BOB);
      await sender.beginMessage(BOB);
      expect(await sender.ask('Subject: sent\r\n\r\nhello\r\n.\r\n')).toMatch(/^250 /);
      busy.send('Subject: in time\r\n');
      vi.advanceTimersByTime(1_000);
      expect(await idle.reply()).toBe('421 4.4.2 No message came for too long');
      expect(await idle.reply()).toBe('');
      expect(await busy.ask('\r\nhello\r\n.\r\n')).toMatch(/^250 /);
      expect(await sender.ask('NOOP\r\n')).toMatch(/^250 /);
      vi.advanceTimersByTime(PROGRESS_TIMEOUT_MS);
      for (const client of [sender, busy]) expect(await client.reply()).toMatch(/^421 4\.4\.2 /);
    });
  });
});

describe('mail from other servers', () => {
  test('is for local mailboxes alone', () =>
    runTranscript(
      `
      S: 220 <any>
      C: EHLO client.test
      S: 250-<any>
      S: 250-PIPELINING
      S: 250-8BITMIME
      S: 250-ENHANCEDSTATUSCODES
      S: 250-STARTTLS
      S: 250 SIZE 52428800
      C: AUTH PLAIN ${AUTH}
      S: 500 5.5.2 <any>
      C: VRFY bob
      S: 252 2.1.5 Cannot verify a mailbox, but will accept mail and attempt delivery
      C: VRFY
      S: 501 5.5.4 VRFY wants an address
      C: HELP
      S: 214-2.0.0 Commands: EHLO HELO STARTTLS MAIL RCPT DATA RSET NOOP VRFY HELP QUIT
      S: 214 2.0.0 They are those of RFC 5321, 3207 and 4954
      C: WIZ now
      S: 500 5.5.2 <any>
      C: MAIL FROM:<sender@remote.test> REQUIRETLS=1
      S: 530 <any>
      C: MAIL FROM:<sender@remote.test> FUTURE=1
      S: 555 5.5.4 <any>
      C: MAIL FROM:<> SIZE=52428801
      S: 552 5.3.4 <any>
      C: MAIL FROM:<sender@remote.test>
      S: 250 2.1.0 <any>
      C: RCPT TO:<nobody@example.test>
      S: 550 5.1.1 <any>
      C: RCPT TO:<someone@elsewhere.test>
      S: 550 5.7.1 <any>
      C: RCPT TO:<bob%elsewhere.test@example.test>
      S: 550 5.1.1 <any>
      C: RCPT TO:<PostMaster>
      S: 250 2.1.5 <any>
      C: RCPT TO:<postmaster@example.test>
      S: 250 2.1.5 <any>
      C: RCPT TO:<postmaster@elsewhere.test>
      S: 550 5.7.1 <any>
      C: RCPT TO:<"a\\lice"@example.test>
      S: 250 2.1.5 <any>
      C: RCPT TO:<BOB@Example.Test> NOTIFY=NEVER
      S: 555 5.5.4 <any>
      C: RCPT TO:<BOB@Example.Test>
      S: 250 2.1.5 <any>
      `,
      { port: app.ports.mx },
    ));

  test('a harvest of addresses ends', async () => {
    const client = await RawClient.connect(app.ports.mx);
    await client.ask('EHLO client.test\r\n');
    await client.ask('MAIL FROM:<>\r\n');
    for (let index = 0; index < 20; index += 1) {
      expect(await client.ask(`RCPT TO:<guess${index}@example.test>\r\n`)).toMatch(/^550 /);
    }
    expect(await client.ask('RCPT TO:<guess@example.test>\r\n')).toMatch(/^421 4\.7\.0 /);
    expect(await client.reply()).toBe('');
  });

  test('pipelined, with a text that begins with a dot and one that is empty', async () => {
    const before = (await app.inbox(BOB)).length;
    const client = await RawClient.connect(app.ports.mx);
    await client.ask('EHLO client.test\r\n');
    const envelope = `MAIL FROM:<sender@remote.test>\r\nRCPT TO:<${BOB}>\r\nDATA\r\n`;
    client.send(`${envelope}..\r\n.\r\n${envelope}.\r\nQUIT\r\n`);
    const codes = [];
    for (let reply = await client.reply(); reply !== ''; reply = await client.reply()) {
      codes.push(reply.slice(0, 3));
    }
    expect(codes).toEqual(['250', '250', '354', '250', '250', '250', '354', '250', '221']);
    const [first = '', second = ''] = (await app.inbox(BOB)).slice(before);
    expect(first).toMatch(/\+0000\r\n\r\n\.\r\n$/);
    expect(second).toMatch(/with ESMTP id [\s\S]*\+0000\r\n\r\n$/);
  });

  test('a message that goes in circles', async () => {
    const client = await RawClient.connect(app.ports.mx);
    await client.beginMessage(BOB);
    const hops = 'Received: from a by b; c\r\n'.repeat(MAX_HOPS + 1);
    expect(await client.ask(`${hops}\r\nhello\r\n.\r\n`)).toMatch(/^554 5\.4\.6 /);
  });
});

describe('smuggling', () => {
  const second = `MAIL FROM:<ceo@example.test>\r\nRCPT TO:<${BOB}>\r\nDATA\r\nsmuggled\r\n`;

  test.each([
    ['LF . LF', '\n.\n'],
    ['CR . CR', '\r.\r'],
    ['LF . CRLF', '\n.\r\n'],
    ['CRLF . LF', '\r\n.\n'],
    ['CRLF . CR', '\r\n.\r'],
    ['CR . CRLF', '\r.\r\n'],
    ['CRLF NUL . CRLF', '\r\n\0.\r\n'],
    ['CR CR LF . CRLF', '\r\r\n.\r\n'],
    ['LF LF . CRLF', '\n\n.\r\n'],
  ])('%s is no end, and nothing hidden behind it is taken', async (_name, form) => {
    const before = await app.inbox(BOB);
    const client = await RawClient.connect(app.ports.mx);
    await client.beginMessage(BOB);
    const replies = [];
    client.send(`Subject: outer\r\n\r\nhello${form}${second}.\r\nNOOP\r\n`);
    // whatever is an end to somebody, no command of the hidden part may be answered with a message taken
    for (let reply = await client.reply(); ; reply = await client.reply()) {
      replies.push(reply.slice(0, 3));
      if (reply.startsWith('250 2.0.0 OK') || reply === '') break;
    }
    client.destroy();
    expect(replies[0]).toBe('554');
    expect(await app.inbox(BOB)).toEqual(before);
  });
});

describe('limits', () => {
  test('a message past the limit is 552, the next one is welcome', async () => {
    const small = await startApp({ CONCERT_MAX_MESSAGE_SIZE: '1KiB' });
    const client = await RawClient.connect(small.ports.mx);
    await client.beginMessage(BOB);
    expect(await client.ask(`${'x'.repeat(998)}\r\n`.repeat(3).concat('.\r\n'))).toMatch(
      /^552 5\.3\.4 /,
    );
    await client.beginMessage(BOB);
    expect(await client.ask('small\r\n.\r\n')).toMatch(/^250 /);
    expect(await small.inbox(BOB)).toHaveLength(1);
    client.destroy();
    await small.close();
  });

  test('while others fill the memory for messages, the next one is 452', async () => {
    const tight = await startApp({
      CONCERT_MAX_MESSAGE_SIZE: '2KiB',
      CONCERT_SMTP_MESSAGE_MEMORY: '4KiB',
    });
    const text = `${'x'.repeat(900)}\r\n`.repeat(2);
    const slow = await RawClient.connect(tight.ports.mx);
    await slow.beginMessage(BOB);
    slow.send(text);
    const other = await RawClient.connect(tight.ports.mx);
    const send = async () => {
      await other.beginMessage(BOB);
      return other.ask(`${text}.\r\n`);
    };
    // taken until the slow client's text has arrived
    let reply = await send();
    while (reply.startsWith('250 ')) reply = await send();
    expect(reply).toMatch(/^452 4\.3\.1 /);
    expect(await slow.ask('.\r\n')).toMatch(/^250 /);
    expect(await send()).toMatch(/^250 /);
    slow.destroy();
    other.destroy();
    await tight.close();
  });

  test('a header is refused where it never ends, and taken up to the limit', async () => {
    const client = await RawClient.connect(app.ports.mx);
    const line = `X: ${'x'.repeat(93)}\r\n`;
    await client.beginMessage(BOB);
    const endless = line.repeat(2 * Math.ceil(MAX_HEADER_BYTES / line.length));
    expect(await client.ask(`${endless}\r\nhello\r\n.\r\n`)).toMatch(/^552 5\.3\.4 /);
    await client.beginMessage(BOB);
    const large = `Return-Path: <x>\r\n${line.repeat(Math.floor(MAX_HEADER_BYTES / line.length) - 1)}`;
    const body = `${'y'.repeat(78)}\r\n`.repeat(10_000);
    expect(await client.ask(`${large}\r\n${body}.\r\n`)).toMatch(/^250 /);
    const text = await lastOfBob();
    expect(text.endsWith(`${large.slice(large.indexOf('X:'))}\r\n${body}`)).toBe(true);
    client.destroy();
  });

  test('a client that leaves in the middle of its message leaves nothing', async () => {
    const before = await app.inbox(BOB);
    const client = await RawClient.connect(app.ports.mx);
    await client.beginMessage(BOB);
    client.send('Subject: half\r\n\r\nhello\r\n');
    client.destroy();
    // another whole transaction gives the server the time to get it wrong
    const next = await RawClient.connect(app.ports.mx);
    await next.beginMessage(ALICE);
    expect(await next.ask('whole\r\n.\r\n')).toMatch(/^250 /);
    next.destroy();
    expect(await app.inbox(BOB)).toEqual(before);
  });

  test('a client that ends its side is let go', async () => {
    const client = await RawClient.connect(app.ports.mx);
    await client.ask('EHLO client.test\r\n');
    client.end();
    expect(await client.reply()).toBe('');
  });

  test.each([
    'POST / HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'CONNECT mail.test:443 HTTP/1.1',
    'PRI * HTTP/2.0',
    'PATCH /x HTTP/1.1',
  ])('an HTTP request ends the connection: %s', async (line) => {
    const client = await RawClient.connect(app.ports.mx);
    const request = `${line}\r\nHost: x\r\n\r\nEHLO client.test\r\n`;
    expect(await client.ask(request)).toMatch(/^421 /);
    expect(await client.reply()).toBe('');
  });
});

describe('TLS', () => {
  test.each(['mx', 'submission'] as const)(
    'cleartext behind STARTTLS on %s reaches nobody',
    async (port) => {
      for (const behind of ['RSET\r\n', 'RSET', `EHLO evil\r\nMAIL FROM:<>\r\n`]) {
        const client = await RawClient.connect(app.ports[port]);
        await client.ask('EHLO client.test\r\n');
        expect(await client.ask(`STARTTLS\r\n${behind}`)).toMatch(/^220 /);
        expect(await client.reply()).toBe('');
      }
    },
  );

  test.each([
    [['h2', 'http/1.1'], 'refused'],
    [['http/1.1'], 'refused'],
    [['smtp'], 'smtp'],
    [['h2', 'esmtp'], 'esmtp'],
    [[], 'none'],
  ])('a client that offers %j is %s', async (ALPNProtocols, outcome) => {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: app.ports.submissions,
      servername: 'localhost',
      ca: app.certificates.trusted.join(''),
      ...(ALPNProtocols.length > 0 ? { ALPNProtocols } : {}),
    });
    const seen = await new Promise<string>((resolve) => {
      socket.once('secureConnect', () => resolve(socket.alpnProtocol || 'none'));
      socket.once('error', (error) =>
        resolve(/no application protocol/.test(error.message) ? 'refused' : error.message),
      );
    });
    socket.destroy();
    expect(seen).toBe(outcome);
  });
});

describe('ends', () => {
  const greet = 'S: 220 <any>\nC: EHLO client.test\nS...\nS: 250 SIZE <any>\n';

  test('a drain ends idle sessions of the old certificate, and leaves others alone', async () => {
    const own = await startApp();
    const { promise: greeted, resolve } = Promise.withResolvers<void>();
    const port = own.ports.submissions;
    const old = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    let heard = '';
    old.on('data', (chunk) => {
      heard += chunk.toString();
      resolve();
    });
    await greeted;
    const plain = await RawClient.connect(own.ports.mx);
    await own.certificates.switchToNext();
    own.drain(2);
    await new Promise((closed) => old.once('close', closed));
    expect(heard).toMatch(/\r\n421 4\.3\.2 The certificate was replaced, connect again\r\n$/);
    expect(await plain.ask('NOOP\r\n')).toMatch(/^250 /);
    plain.destroy();
    await runTranscript(`${greet}C: NOOP\nS: 250 <any>`, { port, implicitTls: true });
    await own.close();
  });

  test('a drain lets a transaction finish', async () => {
    const own = await startApp();
    const port = own.ports.mx;
    const { promise, resolve } = Promise.withResolvers<void>();
    const begun = runTranscript(
      `
      S: 220 <any>
      C: EHLO client.test
      S...
      S: 250 SIZE <any>
      C: STARTTLS
      S: 220 <any>
      TLS
      C: EHLO client.test
      S...
      S: 250 SIZE <any>
      C: MAIL FROM:<sender@remote.test>
      S: 250 <any>
      C: RCPT TO:<${ALICE}>
      S: 250 <any>
      C: RCPT TO:<drain@example.test>
      S: 550 <any>
      C: DATA
      S: 354 <any>
      C: hello
      C: .
      S: 250 <any>
      S: 421 4.3.2 The certificate was replaced, connect again
      CLOSED
      `,
      { port },
    );
    // the refused recipient is looked up last before DATA: that is when the drain comes
    const { resolve: resolveAddress } = own.store.directory;
    Object.assign(own.store.directory, {
      resolve: async (address: string) => {
        if (address.startsWith('drain@')) {
          own.drain(2);
          resolve();
        }
        return resolveAddress(address);
      },
    });
    await promise;
    await begun;
    expect(await own.inbox(ALICE)).toHaveLength(1);
    await own.close();
  });

  test('a store that can write no more ends the service', async () => {
    const sent = vi.spyOn(Worker.prototype, 'postMessage');
    const own = await startApp();
    const [writer] = sent.mock.contexts as Worker[];
    vi.restoreAllMocks();
    await writer?.terminate();
    await expect(own.failed).rejects.toMatchObject({ code: 'database-unavailable' });
    await own.close();
  });

  test('a shutdown says 421 to the idle and lets a message finish', async () => {
    const own = await startApp();
    const idle = await RawClient.connect(own.ports.mx);
    await idle.ask('EHLO client.test\r\n');
    const busy = await RawClient.connect(own.ports.mx);
    await busy.beginMessage(BOB);
    busy.send('Subject: last\r\n\r\n');
    const closed = own.close(10_000);
    expect(await idle.reply()).toMatch(/^421 4\.3\.2 /);
    expect(await idle.reply()).toBe('');
    // a switch does not wait for a session's last message
    await own.left;
    expect(await busy.ask('hello\r\n.\r\n')).toMatch(/^250 2\.6\.0 /);
    expect(await busy.ask('NOOP\r\n')).toMatch(/^421 /);
    await closed;
  });
});
