/**
 * Mail sessions that stand open over a switch, idle and busy: each can be asked at any time whether it
 * is still of use, in its protocol's own words.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { handshake } from './handshakes.ts';
import type { System } from './system.ts';

/** Where the ports are; whole systems have them, on processes or in containers. */
type Ported = Pick<System, 'ports'>;

export interface OpenSession {
  readonly name: string;
  /** Does one round trip of real work; throws when the session is not what it was. */
  work(): Promise<void>;
  /** Ends the session the way its protocol has it; throws when that does not go well. */
  finish(): Promise<void>;
  /** Set when the server closed it. */
  readonly closed: () => string | undefined;
  /** What it said that nobody asked for. */
  readonly lastWords: () => string;
}

type Credentials = { user: string; password: string };

/** Lines of one socket, in order, with a limit on waiting. */
class LineReader {
  readonly socket: Socket;
  #text = '';
  #closed: string | undefined;
  #waiting: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      this.#text += chunk;
      this.#waiting?.();
    });
    const end = (why: string) => () => {
      this.#closed ??= why;
      this.#waiting?.();
    };
    socket.on('end', end('ended by the server'));
    socket.on('error', (error) => end(`error ${error.message}`)());
    socket.on('close', end('closed'));
  }

  get closed(): string | undefined {
    return this.#closed;
  }

  /** What has come and was not read. */
  get unread(): string {
    return this.#text;
  }

  /** Reads until `wanted` matches what has come and takes that much. */
  async until(wanted: RegExp): Promise<string> {
    const signal = AbortSignal.timeout(15_000);
    for (;;) {
      const match = wanted.exec(this.#text);
      if (match !== null) {
        const end = match.index + match[0].length;
        const text = this.#text.slice(0, end);
        this.#text = this.#text.slice(end);
        return text;
      }
      if (this.#closed !== undefined)
        throw new Error(`${this.#closed}; had ${JSON.stringify(this.#text)}`);
      signal.throwIfAborted();
      await new Promise<void>((wake) => {
        this.#waiting = wake;
        signal.addEventListener('abort', () => wake(), { once: true });
      });
    }
  }

  async ask(command: string, wanted: RegExp): Promise<string> {
    this.socket.write(`${command}\r\n`);
    return this.until(wanted);
  }
}

async function openImap(
  system: Ported,
  port: 'imap' | 'imaps',
  { user, password }: Credentials,
): Promise<LineReader> {
  const { socket } = await handshake(system.ports[port]);
  const reader = new LineReader(socket);
  if (port === 'imaps') await reader.until(/^\* OK[^\n]*\n/);
  await reader.ask(`l LOGIN "${user}" "${password}"`, /^l OK[^\n]*\n/m);
  await reader.ask('s SELECT INBOX', /^s OK[^\n]*\n/m);
  return reader;
}

async function openPop(
  system: Ported,
  port: 'pop3' | 'pop3s',
  { user, password }: Credentials,
): Promise<LineReader> {
  const { socket } = await handshake(system.ports[port]);
  const reader = new LineReader(socket);
  if (port === 'pop3s') await reader.until(/^\+OK[^\n]*\n/);
  await reader.ask(`USER ${user}`, /^\+OK[^\n]*\n/);
  await reader.ask(`PASS ${password}`, /^\+OK[^\n]*\n/);
  return reader;
}

async function openSubmission(
  system: Ported,
  port: 'submission' | 'submissions',
  { user, password }: Credentials,
): Promise<LineReader> {
  const { socket } = await handshake(system.ports[port]);
  const reader = new LineReader(socket);
  if (port === 'submissions') await reader.until(/^220 [^\n]*\n/);
  await reader.ask('EHLO client.test', /^250 [^\n]*\n/m);
  const plain = Buffer.from(`\0${user}\0${password}`).toString('base64');
  await reader.ask(`AUTH PLAIN ${plain}`, /^235[^\n]*\n/m);
  return reader;
}

/** IDLE: still told of new mail. `deliver` puts a message into the INBOX. */
export async function imapIdle(
  system: Ported,
  port: 'imap' | 'imaps',
  login: Credentials,
): Promise<OpenSession> {
  const reader = await openImap(system, port, login);
  await reader.ask('i IDLE', /^\+[^\n]*\n/m);
  return {
    name: `${port} IDLE`,
    closed: () => reader.closed,
    lastWords: () => reader.unread,
    async work() {
      await reader.ask('DONE', /^i OK[^\n]*\n/m);
      await reader.ask('i IDLE', /^\+[^\n]*\n/m);
    },
    async finish() {
      await reader.ask('DONE', /^i OK[^\n]*\n/m);
      await reader.ask('x LOGOUT', /^x OK[^\n]*\n/m);
    },
  };
}

/** Busy: commands one after the other. */
export async function imapBusy(
  system: Ported,
  port: 'imap' | 'imaps',
  login: Credentials,
): Promise<OpenSession> {
  const reader = await openImap(system, port, login);
  return {
    name: `${port} busy`,
    closed: () => reader.closed,
    lastWords: () => reader.unread,
    async work() {
      await reader.ask('n NOOP', /^n OK[^\n]*\n/m);
      await reader.ask('f FETCH 1:* (UID FLAGS)', /^f (OK|BAD|NO)[^\n]*\n/m);
    },
    async finish() {
      await reader.ask('x LOGOUT', /^x OK[^\n]*\n/m);
    },
  };
}

/** An open POP3 transaction: a maildrop that is locked. */
export async function popTransaction(
  system: Ported,
  port: 'pop3' | 'pop3s',
  login: Credentials,
): Promise<OpenSession> {
  const reader = await openPop(system, port, login);
  return {
    name: `${port} transaction`,
    closed: () => reader.closed,
    lastWords: () => reader.unread,
    async work() {
      await reader.ask('STAT', /^\+OK \d+ \d+\r\n/);
    },
    async finish() {
      await reader.ask('QUIT', /^\+OK[^\n]*\n/);
    },
  };
}

/** A message in flight: DATA has begun, lines go out one by one, the end comes at `finish`. */
export async function smtpData(
  system: Ported,
  port: 'submission' | 'submissions',
  login: Credentials,
): Promise<OpenSession> {
  const reader = await openSubmission(system, port, login);
  await reader.ask(`MAIL FROM:<${login.user}>`, /^250[^\n]*\n/);
  await reader.ask(`RCPT TO:<${login.user}>`, /^250[^\n]*\n/);
  await reader.ask('DATA', /^354[^\n]*\n/);
  reader.socket.write(`From: <${login.user}>\r\nSubject: in flight\r\n\r\n`);
  let lines = 0;
  return {
    name: `${port} DATA`,
    closed: () => reader.closed,
    lastWords: () => reader.unread,
    async work() {
      lines += 1;
      if (!reader.socket.write(`line ${lines}\r\n`)) await once(reader.socket, 'drain');
      if (reader.closed !== undefined) throw new Error(reader.closed);
    },
    async finish() {
      await reader.ask('.', /^250[^\n]*\n/);
      await reader.ask('QUIT', /^221[^\n]*\n/);
    },
  };
}

/** Logged in and silent, then NOOP. */
export async function smtpIdle(
  system: Ported,
  port: 'submission' | 'submissions',
  login: Credentials,
): Promise<OpenSession> {
  const reader = await openSubmission(system, port, login);
  return {
    name: `${port} idle`,
    closed: () => reader.closed,
    lastWords: () => reader.unread,
    async work() {
      await reader.ask('NOOP', /^250[^\n]*\n/);
    },
    async finish() {
      await reader.ask('QUIT', /^221[^\n]*\n/);
    },
  };
}

/** Two of each kind, in the clear at first and in TLS from the start. `login` gives a user's credentials. */
export function openSessions(
  system: Ported,
  login: (user: string) => Credentials,
): Promise<OpenSession[]> {
  return Promise.all([
    imapIdle(system, 'imap', login('alice')),
    imapIdle(system, 'imaps', login('alice')),
    imapBusy(system, 'imap', login('alice')),
    imapBusy(system, 'imaps', login('alice')),
    // a maildrop has one session at a time
    popTransaction(system, 'pop3', login('pop')),
    popTransaction(system, 'pop3s', login('pops')),
    smtpData(system, 'submission', login('alice')),
    smtpData(system, 'submissions', login('alice')),
    smtpIdle(system, 'submission', login('alice')),
    smtpIdle(system, 'submissions', login('alice')),
  ]);
}
