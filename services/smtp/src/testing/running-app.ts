/** The real app on free ports of loopback, over a store of its own and certificates made on the spot. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { preparePassword } from '@mail/auth';
import { type StaticCertificates, staticCertificates } from '@mail/certs/testing';
import {
  commonSettings,
  Health,
  Metrics,
  parseSettings,
  type Settings,
  silentLogger,
} from '@mail/service';
import { type Account, type MailStore, openStore } from '@mail/store';
import { createSmtpApp } from '../app.ts';

export const PASSWORD = 'correct horse';

export interface RunningApp {
  readonly store: MailStore;
  readonly certificates: StaticCertificates;
  readonly ports: {
    readonly mx: number;
    readonly submission: number;
    readonly submissions: number;
  };
  /** A file with the certificate, for clients to trust. */
  readonly caFile: string;
  readonly folder: string;
  /** Asks the service to end the sessions of older generations, as the registry would. */
  drain(belowGeneration: number): void;
  /** The messages in an account's INBOX, in order. */
  inbox(address: string): Promise<string[]>;
  /** The app's: rejects when it can't go on. */
  readonly failed: Promise<never> | undefined;
  /** Resolves when the service has left the fleet. */
  readonly left: Promise<void>;
  close(graceMs?: number): Promise<void>;
}

/** Accounts alice and bob at example.test, with PASSWORD. */
export async function startApp(settings: Settings = {}): Promise<RunningApp> {
  const folder = await mkdtemp(join(tmpdir(), 'concert-smtp-'));
  const store = await openStore({ url: `sqlite:${join(folder, 'mail.db')}` });
  // computed once: keys hold the salt that they were made with
  const { passwordHash, scramKeys } = await preparePassword(PASSWORD, {
    addressKey: 'anybody',
    saltSecret: await store.logins.saltSecret(),
  });
  for (const name of ['alice', 'bob'])
    await store.accounts.add(`${name}@example.test`, passwordHash, scramKeys);
  const certificates = await staticCertificates({ service: 'smtp' });
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, certificates.trusted.join(''));

  const drains: ((drain: { belowGeneration: number; graceMs: number }) => void)[] = [];
  const left = Promise.withResolvers<void>();
  const app = createSmtpApp(
    {
      service: 'smtp',
      instance: 'test',
      settings: {
        CONCERT_SMTP_LISTENERS:
          'starttls://127.0.0.1:0?role=mx starttls://127.0.0.1:0?role=submission ' +
          'tls://127.0.0.1:0?role=submission',
        CONCERT_HOSTNAME: 'mail.example.test',
        ...settings,
      },
      common: parseSettings(commonSettings, {}),
      logger: silentLogger(),
      metrics: new Metrics(),
      health: new Health(),
      clustered: false,
    },
    store,
    {
      acceptor: certificates.acceptor,
      ready: async () => {},
      onDrain: (observer) => {
        drains.push(observer);
        return () => {};
      },
      setProbeTargets: () => {},
      close: async () => {
        certificates.close();
        left.resolve();
      },
    },
  );
  await app.run();
  const [mx = 0, submission = 0, submissions = 0] = app.listeners.map(({ port }) => port);

  const requireAccount = async (address: string): Promise<Account> => {
    const account = await store.accounts.find(address);
    if (account === undefined) throw new Error(`no account ${address}`);
    return account;
  };
  return {
    store,
    certificates,
    ports: { mx, submission, submissions },
    caFile,
    folder,
    drain: (belowGeneration) => {
      for (const observer of drains) observer({ belowGeneration, graceMs: 0 });
    },
    inbox: async (address) => {
      const mailbox = await store.mailboxes.find((await requireAccount(address)).id, 'INBOX');
      if (mailbox === undefined) throw new Error('no INBOX');
      const { messages } = await store.messages.list(mailbox.id);
      const texts = messages.map(({ uid }) => store.messages.read(mailbox.id, uid));
      return (await Promise.all(texts)).map((text) => text.toString('latin1'));
    },
    failed: app.failed,
    left: left.promise,
    close: async (graceMs = 0) => {
      await app.close(graceMs);
      await rm(folder, { recursive: true });
    },
  };
}

/** A client that sends exactly the octets it is told to. */
export class RawClient {
  readonly #socket: Socket;
  #received = '';
  #ended = false;
  #wake = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#received += chunk.toString('latin1');
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Resolves after the greeting. */
  static async connect(port: number): Promise<RawClient> {
    const client = new RawClient(connect(port, '127.0.0.1'));
    await client.reply();
    return client;
  }

  /** Sends, and resolves to the next whole reply: its last line. "" when the server has ended. */
  async ask(text: string): Promise<string> {
    this.#socket.write(text, 'latin1');
    return await this.reply();
  }

  send(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  async reply(): Promise<string> {
    for (;;) {
      const match = /^(?:\d{3}-[^\n]*\n)*(\d{3}(?: [^\n]*)?)\r\n/.exec(this.#received);
      if (match) {
        this.#received = this.#received.slice(match[0].length);
        return match[1] ?? '';
      }
      if (this.#ended) return '';
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** EHLO, MAIL, RCPT and DATA, to where the text is awaited. */
  async beginMessage(to: string): Promise<void> {
    await this.ask('EHLO client.test\r\n');
    await this.ask('MAIL FROM:<sender@remote.test>\r\n');
    await this.ask(`RCPT TO:<${to}>\r\n`);
    await this.ask('DATA\r\n');
  }

  /** Closes its own direction only. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
