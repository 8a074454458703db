/**
 * A system for clients to live in: certificates of a test CA that can be rotated, an account for each
 * client, and an onlooker that tells what the server holds.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ImapFlow } from 'imapflow';
import { TestPki } from '../testing/pki.ts';
import { type System, startSystem } from '../testing/system.ts';

/** One account with its onlooker: a session of its own that changes nothing unless asked. */
export interface Resident {
  readonly user: string;
  readonly password: string;
  readonly onlooker: ImapFlow;
  /** What the server holds in a mailbox now. */
  mailbox(path: string): Promise<MailboxState>;
  /** `subject [flags]` of each message, by UID: what most checks compare. */
  listing(path: string): Promise<string[]>;
}

export interface MailboxState {
  readonly uidValidity: bigint;
  readonly uidNext: number;
  readonly highestModSeq: bigint | undefined;
  readonly messages: readonly {
    readonly uid: number;
    readonly modSeq: bigint | undefined;
    readonly subject: string;
    readonly flags: readonly string[];
  }[];
}

export class MailHome {
  readonly system: System;
  readonly caPem: string;
  readonly caFile: string;
  readonly #pki: TestPki;
  readonly #onlookers: ImapFlow[] = [];

  private constructor(system: System, pki: TestPki) {
    this.system = system;
    this.#pki = pki;
    this.caPem = pki.rootPem;
    this.caFile = join(system.data, 'root.pem');
    writeFileSync(this.caFile, pki.rootPem);
  }

  static async open(): Promise<MailHome> {
    const home = new MailHome(await startSystem(), await TestPki.make());
    await home.rotate();
    return home;
  }

  /** Puts a new certificate of the test CA in force; gives its generation. */
  async rotate(...options: readonly string[]): Promise<number> {
    const leaf = await this.#pki.issue({ names: ['localhost'] });
    const file = join(this.system.data, 'next.pem');
    writeFileSync(file, `${leaf.privateKeyPem}${leaf.certificatePem}${this.#pki.intermediatePem}`);
    const { id } = await this.system.concertJson<{ id: string }>([
      'cert',
      'import',
      file,
      this.caFile,
    ]);
    const { generation } = await this.system.concertJson<{ generation: number }>([
      'cert',
      'rotate',
      id,
      ...options,
    ]);
    return generation;
  }

  /** A new account. */
  async settle(name: string): Promise<Resident> {
    const user = `${name}@example.test`;
    const password = 'open sesame';
    await this.system.concertJson(['account', 'add', user, '--password-stdin'], `${password}\n`);
    const onlooker = new ImapFlow({
      host: 'localhost',
      port: this.system.ports.imaps.port,
      secure: true,
      auth: { user, pass: password },
      tls: { ca: this.caPem },
      logger: false,
      disableAutoIdle: true,
    });
    await onlooker.connect();
    this.#onlookers.push(onlooker);
    const mailbox = async (path: string): Promise<MailboxState> => {
      const { uidValidity, uidNext, highestModseq } = await onlooker.mailboxOpen(path, {
        readOnly: true,
      });
      const found = await onlooker.fetchAll('1:*', { uid: true, flags: true, envelope: true });
      const messages = found.map(({ uid, modseq, flags, envelope }) => ({
        uid,
        modSeq: modseq,
        subject: envelope?.subject ?? '',
        flags: [...(flags ?? [])].sort(),
      }));
      return { uidValidity, uidNext, highestModSeq: highestModseq, messages };
    };
    return {
      user,
      password,
      onlooker,
      mailbox,
      listing: async (path) =>
        (await mailbox(path)).messages.map(({ subject, flags }) => [subject, ...flags].join(' ')),
    };
  }

  async close(): Promise<void> {
    for (const onlooker of this.#onlookers) onlooker.close();
    await this.system.close();
  }
}
