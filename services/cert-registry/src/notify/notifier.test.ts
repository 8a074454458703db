import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { silentLogger } from '@mail/service';
import { SMTPServer } from 'smtp-server';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Warning } from '../warnings.ts';
import { mailChannel } from './mail.ts';
import { Notifier, type NotifierOptions } from './notifier.ts';
import { webhookChannel } from './webhook.ts';

const SECRET = 'sixteen letters!';
const RULES = { settleMs: 5, repeatMs: 86_400_000 };
const EXPIRES: Warning = {
  code: 'certificate-expires',
  subject: 'abcd',
  level: 1,
  message: 'the active certificate abcd expires in 20 days',
};

let mails: { to: string[]; content: string }[];
let posts: { headers: IncomingMessage['headers']; body: string }[];
let hookStatus: number;
let standing: Warning[];
let memory: Map<string, string>;
let smtp: SMTPServer;
let hook: Server;
let notifier: Notifier;

beforeEach(async () => {
  mails = [];
  posts = [];
  hookStatus = 204;
  standing = [EXPIRES];
  memory = new Map();
  smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData: (stream, session, done) => {
      void text(stream).then((content) => {
        mails.push({ to: session.envelope.rcptTo.map(({ address }) => address), content });
        done();
      });
    },
  });
  smtp.listen(0, '127.0.0.1');
  hook = createServer(async (request, response) => {
    posts.push({ headers: request.headers, body: await text(request) });
    response.writeHead(hookStatus).end();
  }).listen(0, '127.0.0.1');
  await Promise.all([once(smtp.server, 'listening'), once(hook, 'listening')]);
  notifier = begin();
});
afterEach(async () => {
  notifier.stop();
  hook.close();
  await new Promise<void>((resolve) => smtp.close(resolve));
});

const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

function begin(changes: Partial<NotifierOptions> = {}): Notifier {
  const made = new Notifier({
    channels: [
      mailChannel({
        to: ['admin@example.org', 'second@example.org'],
        from: 'concert@example.org',
        server: new URL(`smtp://127.0.0.1:${portOf(smtp.server)}`),
        password: undefined,
      }),
      webhookChannel({ url: new URL(`http://127.0.0.1:${portOf(hook)}/hook`), secret: SECRET }),
    ],
    warnings: () => standing,
    memory: {
      read: (name) => memory.get(name),
      write: (name, value) => void memory.set(name, value),
    },
    rules: RULES,
    logger: silentLogger(),
    now: Date.now,
    ...changes,
  });
  made.start();
  return made;
}

test('a warning goes out by mail and webhook, once, and so does its end', async () => {
  await vi.waitFor(() => expect([mails.length, posts.length]).toEqual([1, 1]));
  expect(mails[0]?.to).toEqual(['admin@example.org', 'second@example.org']);
  expect(mails[0]?.content).toMatch(
    /^Subject: \[Concert\] the active certificate abcd expires in 20 days\r$/m,
  );
  expect(mails[0]?.content).toMatch(/^Auto-Submitted: auto-generated\r$/m);
  const [post] = posts;
  expect(JSON.parse(post?.body ?? '')).toEqual({
    text: EXPIRES.message,
    notices: [{ kind: 'raised', ...EXPIRES, since: expect.stringMatching(/^\d{4}-.*Z$/) }],
  });
  const signature = createHmac('sha256', SECRET)
    .update(post?.body ?? '')
    .digest('hex');
  expect(post?.headers['concert-signature']).toBe(`sha256=${signature}`);

  standing = [];
  await vi.waitFor(() => expect([mails.length, posts.length]).toEqual([2, 2]));
  expect(JSON.parse(posts[1]?.body ?? '').text).toBe(`over: ${EXPIRES.message}`);
});

test('after a restart nothing is told again', async () => {
  await vi.waitFor(() => expect(memory.size).toBe(2));
  notifier.stop();
  standing = [EXPIRES, { ...EXPIRES, subject: 'efgh', message: 'another' }];
  notifier = begin();
  await vi.waitFor(() => expect(mails).toHaveLength(2));
  expect(mails[1]?.content).toMatch(/^Subject: \[Concert\] another\r$/m);
});

test('a clock that goes on while it is read loses nothing', async () => {
  notifier.stop();
  mails.length = 0;
  memory.clear();
  let clock = Date.now();
  notifier = begin({ now: () => ++clock });
  await vi.waitFor(() => expect(mails).toHaveLength(1));
});

test('what was told and cannot be kept is no failure of the channel', async () => {
  notifier.stop();
  mails.length = 0;
  const full = () => {
    throw new Error('database or disk is full');
  };
  notifier = begin({ memory: { read: () => undefined, write: full } });
  await vi.waitFor(() => expect(mails).toHaveLength(1));
  standing = [];
  await vi.waitFor(() => expect(mails).toHaveLength(2));
  expect(notifier.warnings).toEqual([]);
});

test('a channel that fails is a warning, loses nothing, and holds back no other', async () => {
  notifier.stop();
  memory.clear();
  posts.length = 0;
  mails.length = 0;
  hookStatus = 500;
  let clock = Date.now();
  notifier = begin({ now: () => clock });
  await vi.waitFor(() => {
    clock += 10;
    expect([mails.length, notifier.warnings]).toEqual([
      1,
      [
        {
          code: 'notification-failed',
          subject: 'webhook',
          level: 1,
          message: 'warnings by webhook cannot be sent: the webhook answered 500',
        },
      ],
    ]);
  });
  hookStatus = 200;
  clock += 3_600_000;
  await vi.waitFor(() => expect(notifier.warnings).toEqual([]));
  expect(JSON.parse(posts.at(-1)?.body ?? '').text).toBe(EXPIRES.message);
  expect(mails).toHaveLength(1);
});
