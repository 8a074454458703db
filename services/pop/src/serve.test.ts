import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Connection } from '@mail/line-server';
import { StoreError } from '@mail/store';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { serve } from './serve.ts';
import type { SessionContext } from './session.ts';
import { PASSWORD, startTestServer, type TestServer } from './testing/test-server.ts';

const MESSAGES = [
  'From: a@example.test\r\nSubject: one\r\n\r\n1\r\n',
  'Subject: dots\r\n\r\n.\r\n.leading\r\ntrailing.\r\n..two\r\na.b\r\n',
  'Subject: open end\r\n\r\nno line end',
];

const LOGIN = 'S: +OK <any>\nC: USER <user>\nS: +OK <any>\nC: PASS <password>\nS: +OK <any>\n';

let pop: TestServer;
beforeAll(async () => {
  pop = await startTestServer();
});
afterAll(() => pop.close());

const folder = new URL('./transcripts/', import.meta.url);

describe('transcripts', () => {
  it.each(readdirSync(folder))('%s', async (name) => {
    const account = await pop.addAccount(MESSAGES);
    await pop.run(readFileSync(new URL(name, folder), 'utf8'), account);
  });
});

describe('deleting', () => {
  it('happens at QUIT and nowhere else', async () => {
    const account = await pop.addAccount(MESSAGES);
    await pop.run(`${LOGIN}C: DELE 1\nS: +OK <any>\nC: STAT\nS: +OK 2 <any>`, account);
    await pop.run(
      `${LOGIN}C: STAT\nS: +OK 3 <any>\nC: DELE 3\nS: +OK <any>\nC: QUIT\nS: +OK <any>`,
      account,
    );
    await pop.run(`${LOGIN}C: UIDL\nS: +OK <any>\nS: 1 <v:number>.1\nS: 2 <v>.2\nS: .`, account);
  });

  it('that fails deletes nothing and says so', async () => {
    const failing = await startTestServer({}, (store) => ({
      ...bound(store),
      messages: {
        ...bound(store.messages),
        expunge: async () => {
          throw new StoreError('database-unavailable', 'disk full');
        },
      },
    }));
    try {
      const account = await failing.addAccount(MESSAGES);
      await failing.run(
        `${LOGIN}C: DELE 1\nS: +OK <any>\nC: QUIT\nS: -ERR [SYS/TEMP] Nothing was deleted, try again later\nCLOSED`,
        account,
      );
      await failing.run(`${LOGIN}C: STAT\nS: +OK 3 <any>`, account);
    } finally {
      await failing.close();
    }
  });

  it('copes with what another session expunged meanwhile', async () => {
    const account = await pop.addAccount(MESSAGES);
    const inbox = await pop.store.mailboxes.find(account.id, 'INBOX');
    const session = await openSession(pop, account.address);
    await pop.store.messages.expunge(inbox?.id ?? 0, [1]);
    // for a while it can be read to its end
    expect(await session.say('RETR 1')).toMatch(/^\+OK/);
    while ((await session.next()) !== '.');
    const gone = new StoreError('no-such-message', 'swept');
    const read = vi.spyOn(pop.store.messages, 'read').mockRejectedValueOnce(gone);
    expect(await session.say('RETR 1')).toBe('-ERR That message is gone');
    read.mockRestore();
    expect(await session.say('DELE 1')).toMatch(/^\+OK/);
    expect(await session.say('DELE 2')).toMatch(/^\+OK/);
    expect(await session.say('QUIT')).toBe('+OK Goodbye, 1 messages deleted');
    await pop.run(`${LOGIN}C: STAT\nS: +OK 1 <any>`, account);
  });
});

describe('the maildrop', () => {
  it.each([
    ['QUIT', 'QUIT\r\n', '+OK Goodbye'],
    ['a line too long', 'x'.repeat(13_000), '-ERR Line too long'],
    ['too many bad commands', 'X\r\n'.repeat(20), '-ERR Too many errors'],
  ])('is for one session at a time, and free after %s', async (_, said, farewell) => {
    const account = await pop.addAccount();
    // a client that does not close when it is told goodbye holds nothing up
    const session = await openSession(pop, account.address, { allowHalfOpen: true });
    const second = 'S: +OK <any>\nC: USER <user>\nS: +OK <any>\nC: PASS <password>\n';
    await pop.run(`${second}S: -ERR [IN-USE] <any>`, account);
    session.send(said);
    while ((await session.next()) !== farewell);
    await pop.run(`${second}S: +OK <any>`, account);
    session.close();
  });

  it('is left when its lock is lost, with nothing deleted', async () => {
    const loss = new AbortController();
    const losing = await startTestServer({}, (store) => ({
      ...bound(store),
      lockMaildrop: async () => ({ release: async () => {}, lost: loss.signal }),
    }));
    try {
      const account = await losing.addAccount(MESSAGES);
      const session = await openSession(losing, account.address);
      expect(await session.say('DELE 1')).toMatch(/^\+OK/);
      loss.abort(new StoreError('database-unavailable', 'the connection is gone'));
      expect(await session.next()).toMatch(/^-ERR \[SYS\/TEMP\]/);
      session.close();
      const inbox = await losing.store.mailboxes.find(account.id, 'INBOX');
      expect((await losing.store.mailboxes.status(inbox?.id ?? 0)).messages).toBe(3);
    } finally {
      await losing.close();
    }
  });

  it('counts the octets that it sends', async () => {
    const messages = [
      'A: 1\r\n\r\nx\r\n',
      'A: 1\r\n\r\nx',
      'A: 1\r\n\r\nx\n',
      'A: 1\r\n\r\n\0',
      '',
    ];
    const account = await pop.addAccount(messages);
    const { say, next, close } = await openSession(pop, account.address);
    for (let number = 1; number <= messages.length; number += 1) {
      const announced = Number((await say(`LIST ${number}`))?.split(' ').at(-1));
      expect(await say(`RETR ${number}`)).toBe(`+OK ${announced} octets`);
      let sent = 0;
      for (let line = await next(); line !== '.'; line = await next()) sent += `${line}\r\n`.length;
      expect(sent).toBe(announced);
    }
    close();
  });

  it('gives a message that was copied into INBOX an id of its own', async () => {
    const account = await pop.addAccount(MESSAGES.slice(0, 1));
    const inbox = await pop.store.mailboxes.find(account.id, 'INBOX');
    await pop.store.messages.copy(inbox?.id ?? 0, [1], inbox?.id ?? 0);
    await pop.run(`${LOGIN}C: UIDL\nS: +OK <any>\nS: 1 <v:number>.1\nS: 2 <v>.2\nS: .`, account);
  });
});

describe('TLS', () => {
  it('is where logins are taken', async () => {
    const account = await pop.addAccount();
    await pop.run(
      `S: +OK <any>
       C: CAPA
       S...
       S: STLS
       S: IMPLEMENTATION Concert
       S: .
       C: USER <user>
       S: -ERR Log in over TLS: use STLS first
       C: AUTH PLAIN AGEAYg==
       S: -ERR Log in over TLS: use STLS first
       C: STLS
       S: +OK Begin TLS
       TLS
       C: PASS <password>
       S: -ERR USER comes first
       C: STLS
       S: -ERR STLS is not available here
       C: CAPA
       S...
       S: SASL PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS
       S: IMPLEMENTATION Concert
       S: .
       C: USER <user>
       S: +OK <any>
       C: PASS <password>
       S: +OK <any>`,
      account,
      { port: pop.ports.starttls },
    );
  });

  it('is there from the first octet on the other port', async () => {
    const account = await pop.addAccount(MESSAGES);
    const response = Buffer.from(`\0${account.address}\0${PASSWORD}`).toString('base64');
    await pop.run(
      `S: +OK <any>\nC: AUTH PLAIN ${response}\nS: +OK <any>\nC: STAT\nS: +OK 3 <any>`,
      account,
      {
        port: pop.ports.tls,
        implicitTls: true,
        tls: {
          ALPNProtocols: ['pop3'],
          servername: 'localhost',
          ca: [...pop.certificates.trusted],
        },
      },
    );
  });

  it('takes nothing that came in the clear behind STLS', async () => {
    const socket = connect(pop.ports.starttls, '127.0.0.1');
    await once(socket, 'data');
    socket.write('STLS\r\nCAPA\r\n');
    const rest = await readAll(socket);
    expect(rest).toBe('');
  });

  it('is refused to a browser by ALPN', async () => {
    const socket = connectTls({
      port: pop.ports.tls,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    const [error] = await once(socket, 'error').then(
      (args) => args,
      (cause) => [cause],
    );
    expect(String(error)).toMatch(/no application protocol/i);
  });
});

describe('CAPA', () => {
  it('lists STLS as long as it may come, and no longer', async () => {
    const account = await pop.addAccount();
    const capa = (...lines: string[]) =>
      ['C: CAPA', 'S: +OK <any>', ...lines.map((line) => `S: ${line}`), 'S: .', ''].join('\n');
    const before = ['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE', 'PIPELINING', 'EXPIRE NEVER'];
    const after = ['USER', 'SASL PLAIN LOGIN SCRAM-SHA-256', 'IMPLEMENTATION Concert'];
    const first = capa(...before, 'STLS', ...after);
    const login = LOGIN.replace('S: +OK <any>\n', `S: +OK <any>\n${first}`);
    await pop.run(`${login}${capa(...before, ...after)}`, account, { port: pop.ports.either });
  });
});

describe('pipelined commands', () => {
  it('let others have their turn', async () => {
    const lines = Array.from({ length: 1_000 }, () => Buffer.from('CAPA'));
    const connection = {
      remoteAddress: '127.0.0.1',
      write: async () => {},
      readLine: async () => lines.shift(),
      end: async () => {},
    } as unknown as Connection;
    let turns = 0;
    let over = false;
    const others = () => {
      turns += 1;
      if (!over) setImmediate(others);
    };
    setImmediate(others);
    await serve(connection, { now: () => 0, loginTimeoutMs: 1 } as SessionContext);
    over = true;
    expect(turns).toBeGreaterThanOrEqual(50);
  });
});

describe('ends', () => {
  it('at an HTTP request, without a word', async () => {
    const socket = connect(pop.ports.plain, '127.0.0.1');
    await once(socket, 'data');
    socket.write('GET / HTTP/1.1\r\nUSER a\r\n\r\n');
    expect(await readAll(socket)).toBe('');
  });

  it('after five wrong logins', async () => {
    const wrong = 'C: USER <user>\nC: PASS wrong\nS: +OK <any>\nS: -ERR [AUTH] <any>\n';
    const own = await startTestServer();
    try {
      const account = await own.addAccount();
      await own.run(`S: +OK <any>\n${wrong.repeat(5)}S: -ERR Too many errors\nCLOSED`, account);
    } finally {
      await own.close();
    }
  });

  it('after twenty unknown commands', async () => {
    await pop.run(
      `S: +OK <any>\n${'C: X\nS: -ERR <any>\n'.repeat(20)}S: -ERR Too many errors\nCLOSED`,
    );
  });

  it('when a line is too long', async () => {
    await pop.run(`S: +OK <any>\nC: USER ${'x'.repeat(13_000)}\nS: -ERR Line too long\nCLOSED`);
  });

  it('when nothing comes, with the marks forgotten', async () => {
    const impatient = await startTestServer({ CONCERT_POP_IDLE_TIMEOUT: 50 });
    try {
      const account = await impatient.addAccount(MESSAGES);
      await impatient.run(
        `${LOGIN}C: DELE 1\nS: +OK <any>\nS: -ERR Nothing came for too long\nCLOSED`,
        account,
      );
      const inbox = await impatient.store.mailboxes.find(account.id, 'INBOX');
      expect((await impatient.store.messages.list(inbox?.id ?? 0)).messages).toHaveLength(3);
    } finally {
      await impatient.close();
    }
  });

  it('when nobody logs in, however busy', async () => {
    const impatient = await startTestServer({ CONCERT_POP_LOGIN_TIMEOUT: 50 });
    try {
      await impatient.run(
        `S: +OK <any>\nC: CAPA\nS...\nS: .\nS: -ERR Nothing came for too long\nCLOSED`,
      );
    } finally {
      await impatient.close();
    }
  });

  it('with a farewell when the service stops, after the command in progress', async () => {
    const stopping = await startTestServer();
    const account = await stopping.addAccount();
    const session = await openSession(stopping, account.address);
    const closed = stopping.close();
    expect(await session.next()).toBe('-ERR [SYS/TEMP] The server is going down');
    expect(await session.next()).toBeUndefined();
    await closed;
  });

  it('with a farewell when its certificate is withdrawn, and only then', async () => {
    const account = await pop.addAccount();
    const plain = await openSession(pop, account.address);
    const done = pop.run(
      `S: +OK <any>\nS: -ERR [SYS/TEMP] The server has a new certificate, please connect again\nCLOSED`,
      undefined,
      { port: pop.ports.tls, implicitTls: true },
    );
    // a session counts once its handshake is done
    while (pop.server.sessions < 2) await new Promise((resolve) => setImmediate(resolve));
    await pop.server.drain(2, 0);
    await done;
    expect(await plain.say('NOOP')).toMatch(/^\+OK/);
    expect(await plain.say('QUIT')).toMatch(/^\+OK/);
  });
});

/** Methods of a class instance as a plain object, to put others over some. */
function bound<T extends object>(target: T): T {
  return new Proxy({} as T, {
    ownKeys: () => {
      const names = new Set<string | symbol>();
      for (let at: object = target; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
        for (const name of Reflect.ownKeys(at)) names.add(name);
      }
      return [...names];
    },
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    get: (_, name) => {
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function readAll(socket: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

/** A logged-in session on the plain port that a test drives by itself. */
async function openSession(
  { ports }: TestServer,
  address: string,
  options: { allowHalfOpen?: boolean } = {},
) {
  const socket = connect({ port: ports.plain, host: '127.0.0.1', ...options });
  const lines = socket.setEncoding('latin1')[Symbol.asyncIterator]();
  let pending = '';
  const next = async (): Promise<string | undefined> => {
    while (!pending.includes('\r\n')) {
      const { value, done } = await lines.next();
      if (done) return undefined;
      pending += value;
    }
    const [line = ''] = pending.split('\r\n', 1);
    pending = pending.slice(line.length + 2);
    return line;
  };
  const say = (line: string) => {
    socket.write(`${line}\r\n`);
    return next();
  };
  await next();
  await say(`USER ${address}`);
  expect(await say(`PASS ${PASSWORD}`)).toMatch(/^\+OK/);
  const send = (octets: string) => void socket.write(octets);
  return { next, say, send, close: () => socket.destroy() };
}
