/**
 * The service for tests: real listeners on free ports, a real store in a folder of its own, certificates
 * without a registry.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { preparePassword, type TokenVerifier } from '@mail/auth';
import { type StaticCertificates, staticCertificates } from '@mail/certs/testing';
import type { LineServer } from '@mail/line-server';
import { runTranscript, type TranscriptOptions } from '@mail/line-server/testing';
import { Metrics, parseSettings, silentLogger } from '@mail/service';
import { type Account, type MailStore, openStore } from '@mail/store';
import { type PopSettings, popSettings } from '../config.ts';
import { openPopServer } from '../pop-server.ts';

export const PASSWORD = 'open sesame';

export interface TestServer {
  readonly store: MailStore;
  readonly server: LineServer;
  readonly certificates: StaticCertificates;
  readonly ports: {
    readonly starttls: number;
    readonly tls: number;
    /** Without TLS, and yet with login. */
    readonly plain: number;
    /** The same with TLS for those who want it. */
    readonly either: number;
  };
  /** A fresh account with these messages in its INBOX; its address is its own. */
  addAccount(messages?: readonly (string | Buffer)[]): Promise<Account>;
  /** Runs a dialogue, on the plain port unless said otherwise, `<user>` and `<password>` filled in. */
  run(
    transcript: string,
    account?: Account,
    options?: Partial<TranscriptOptions>,
  ): Promise<Record<string, string>>;
  close(): Promise<void>;
}

/** `settings` over the service's, also below what it takes; `wrap` puts something between the service and its store. */
export async function startTestServer(
  settings: Partial<PopSettings> = {},
  wrap: (store: MailStore) => MailStore = (store) => store,
  tokens?: TokenVerifier,
): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'concert-pop-'));
  const store = await openStore({ url: `sqlite:${join(folder, 'mail.db')}` });
  const certificates = await staticCertificates({ service: 'pop' });
  const server = await openPopServer({
    service: { logger: silentLogger(), metrics: new Metrics(), clustered: false },
    settings: {
      ...parseSettings(popSettings, {
        CONCERT_POP_LISTENERS:
          'starttls://127.0.0.1:0 tls://127.0.0.1:0 none://127.0.0.1:0?login=plain ' +
          'starttls://127.0.0.1:0?login=plain',
      }),
      ...settings,
    },
    store: wrap(store),
    tls: certificates.acceptor(['pop3']),
    tokens,
  });
  const [starttls = 0, tls = 0, plain = 0, either = 0] = server.listeners.map(({ port }) => port);
  // computed once: keys hold the salt that they were made with
  const { passwordHash, scramKeys } = await preparePassword(PASSWORD, {
    addressKey: 'anybody',
    saltSecret: await store.logins.saltSecret(),
  });
  let accounts = 0;
  return {
    store,
    server,
    certificates,
    ports: { starttls, tls, plain, either },
    addAccount: async (messages = []) => {
      accounts += 1;
      const account = await store.accounts.add(
        `user${accounts}@example.test`,
        passwordHash,
        scramKeys,
      );
      for (const message of messages) {
        await store.messages.deliver([account.id], { raw: Buffer.from(message) });
      }
      return account;
    },
    run: (transcript, account, options) =>
      runTranscript(transcript, {
        port: plain,
        variables: { user: account?.address ?? 'nobody@example.test', password: PASSWORD },
        ...options,
      }),
    close: async () => {
      await server.close(1_000);
      certificates.close();
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}
