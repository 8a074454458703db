/** A store in a folder of its own, and the command run on it, for tests of export and import. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, type MailStore, openStore } from '@mail/store';
import { runCommandLine } from '../../program.ts';
import type { Terminal } from '../../terminal.ts';

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** With --json. */
  readonly json: Record<string, unknown>;
}

/** A message as it is compared; dates in milliseconds. */
export interface Seen {
  readonly raw: string;
  readonly flags: readonly string[];
  readonly date: number;
}

export class ArchiveBench {
  readonly folder: string;
  readonly store: MailStore;

  private constructor(folder: string, store: MailStore) {
    this.folder = folder;
    this.store = store;
  }

  static async open(): Promise<ArchiveBench> {
    const folder = await mkdtemp(join(tmpdir(), 'concert-archive-'));
    const url = `sqlite:${join(folder, 'mail', 'mail.db')}`;
    return new ArchiveBench(folder, await openStore({ url }));
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  addAccount(name: string): Promise<Account> {
    return this.store.accounts.add(`${name}@x.test`, 'hash');
  }

  /** The id of a mailbox, made where there is none. */
  async mailbox(account: Account, name: string): Promise<number> {
    const found = await this.store.mailboxes.find(account.id, name);
    return (found ?? (await this.store.mailboxes.create(account.id, name))).id;
  }

  async run(...args: string[]): Promise<Outcome> {
    let out = '';
    let err = '';
    const terminal: Terminal = {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      interactive: false,
      outputIsTerminal: false,
      colour: false,
      now: () => new Date(),
      sayIfInterrupted: () => {},
      readSecretLine: async () => '',
      askHidden: async () => '',
      confirm: async () => false,
    };
    const settings = { CONCERT_DATA: this.folder };
    const code = await runCommandLine([...args, '--json'], terminal, () => settings, this.folder);
    return { code, out, err, json: JSON.parse(out) as Record<string, unknown> };
  }

  /** Everything that an account has, by mailbox; empty mailboxes too. */
  async read(account: Account): Promise<Record<string, Seen[]>> {
    const mail: Record<string, Seen[]> = {};
    for (const { id, name } of await this.store.mailboxes.list(account.id)) {
      const { messages } = await this.store.messages.list(id);
      const seen: Seen[] = [];
      for (const { uid, flags, internalDate } of messages) {
        const raw = (await this.store.messages.read(id, uid)).toString('latin1');
        seen.push({ raw, flags, date: internalDate.getTime() });
      }
      mail[name] = seen;
    }
    return mail;
  }

  async close(): Promise<void> {
    await this.store.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
