/**
 * The service for tests: real listeners on free ports, a real store in a folder of its own, certificates
 * without a registry.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { preparePassword, type TokenVerifier } from '@mail/auth';
import { staticCertificates } from '@mail/certs/testing';
import { runTranscript } from '@mail/line-server/testing';
import { Metrics, parseSettings, silentLogger } from '@mail/service';
import { type Account, type MailStore, openStore } from '@mail/store';
import { imapSettings } from '../config.ts';
import { openImapServer } from '../imap-server.ts';
import { INBOX_MESSAGES } from './messages.ts';

export const PASSWORD = 'open sesame';

export interface TestServer {
  readonly store: MailStore;
  /** Of the store, for other processes. */
  readonly storeUrl: string;
  /** Certificates to trust, as PEM. */
  readonly trusted: readonly string[];
  readonly ports: {
    readonly starttls: number;
    readonly tls: number;
    /** Without TLS, and yet with login. */
    readonly plain: number;
  };
  /** A fresh account; its address is its own. */
  addAccount(): Promise<Account>;
  /** The same with the mail of messages.ts in its INBOX. */
  addAccountWithMail(): Promise<Account>;
  /**
   * Runs a dialogue, on the plain port by default, with `<user>`, `<password>` and the others below filled in,
   * `<other>` where another account is given.
   */
  run(
    transcript: string,
    account: Account,
    port?: keyof TestServer['ports'],
    other?: Account,
  ): Promise<Record<string, string>>;
  /** Puts the next certificate in force; connections go on under theirs. */
  switchCertificate(): Promise<void>;
  /** Puts the next certificate in force and withdraws the one before from its connections. */
  switchAndDrain(): Promise<void>;
  close(): Promise<void>;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** `settings` over those of the service. */
export async function startTestServer(
  settings: Readonly<Record<string, string>> = {},
  tokens?: TokenVerifier,
): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'concert-imap-'));
  const storeUrl = `sqlite:${join(folder, 'mail.db')}`;
  const store = await openStore({ url: storeUrl });
  const certificates = await staticCertificates({ service: 'imap' });
  const server = await openImapServer({
    service: { logger: silentLogger(), metrics: new Metrics(), clustered: false },
    settings: parseSettings(imapSettings, {
      CONCERT_IMAP_LISTENERS:
        'starttls://127.0.0.1:0 tls://127.0.0.1:0 none://127.0.0.1:0?login=plain',
      ...settings,
    }),
    store,
    tls: certificates.acceptor(['imap']),
    tokens,
  });
  const [starttls = 0, tls = 0, plain = 0] = server.listeners.map(({ port }) => port);
  // computed once: keys hold the salt that they were made with
  const { passwordHash, scramKeys } = await preparePassword(PASSWORD, {
    addressKey: 'anybody',
    saltSecret: await store.logins.saltSecret(),
  });
  const ports = { starttls, tls, plain };
  let accounts = 0;
  const addAccount = (): Promise<Account> => {
    accounts += 1;
    return store.accounts.add(`user${accounts}@example.test`, passwordHash, scramKeys);
  };
  return {
    store,
    storeUrl,
    trusted: certificates.trusted,
    ports,
    addAccount,
    addAccountWithMail: async () => {
      const account = await addAccount();
      const inbox = await store.mailboxes.find(account.id, 'INBOX');
      if (inbox !== undefined) await store.messages.append(inbox.id, INBOX_MESSAGES);
      return account;
    },
    run: (transcript, { address: user }, port = 'plain', other) =>
      runTranscript(transcript, {
        port: ports[port],
        implicitTls: port === 'tls',
        tls: { ca: [...certificates.trusted], servername: 'localhost' },
        variables: {
          user,
          ...(other && { other: other.address }),
          password: PASSWORD,
          big: 'x'.repeat(102_401),
          nul: '\0',
          plain: base64(`\0${user}\0${PASSWORD}`),
          plainForRoot: base64(`root\0${user}\0${PASSWORD}`),
          userBase64: base64(user),
          passwordBase64: base64(PASSWORD),
        },
      }),
    switchCertificate: async () => {
      await certificates.switchToNext();
    },
    switchAndDrain: async () => {
      const { generation } = await certificates.switchToNext();
      await server.drain(generation, 0);
    },
    close: async () => {
      await server.close(1_000);
      certificates.close();
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}
