/** The mailboxes that a folder of files holds, and the ones of an account that they come into. */
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type AccountId, INBOX, type Mailbox, type MailStore, parseMailboxName } from '@mail/store';
import { CliError } from '../errors.ts';
import { ArchiveIndex, INDEX_FILE } from './archive-index.ts';
import { isSafeName, mailboxOfFolder, unquoteName } from './file-names.ts';
import { countMaildir, readMaildir } from './maildir-reader.ts';
import { type ArchivedMessage, readMbox } from './mbox-reader.ts';

export type ArchiveFormat = 'maildir' | 'mbox';

export const SUBSCRIPTIONS_FILE = 'subscriptions';

export interface ArchivedMailbox {
  readonly name: string;
  /** The one that --into names; the others come below it. */
  readonly root: boolean;
  readonly specialUse: string | undefined;
  /** Undefined where nothing tells. */
  readonly subscribed: boolean | undefined;
  /** Work that reading it is, in the unit of ArchivedMessage's sourceOctets. */
  readonly units: number;
  /** `failed` is told what cannot be read. */
  read(failed: (where: string, why: string) => void): AsyncGenerator<ArchivedMessage>;
}

/** Uses by the names that programs give their mailboxes, where nothing else tells. */
const USES: Readonly<Record<string, string>> = {
  archive: '\\Archive',
  archives: '\\Archive',
  drafts: '\\Drafts',
  junk: '\\Junk',
  'junk e-mail': '\\Junk',
  spam: '\\Junk',
  sent: '\\Sent',
  'sent items': '\\Sent',
  'sent messages': '\\Sent',
  trash: '\\Trash',
  'deleted items': '\\Trash',
  'deleted messages': '\\Trash',
};

/** Throws CliError (usage) where there is none of that format. */
export async function listArchive(path: string, format: ArchiveFormat): Promise<ArchivedMailbox[]> {
  const stats = await lstat(path).catch(() => undefined);
  if (format === 'mbox' && stats?.isFile()) {
    const told = { name: mailboxOfFile(basename(path)), root: true };
    return [mboxMailbox(path, told, stats.size)];
  }
  if (!stats?.isDirectory()) throw new CliError('usage', `${path} cannot be read`);
  const index = await ArchiveIndex.read(path);
  const mailboxes =
    format === 'maildir' ? await listMaildirs(path, index) : await listMboxes(path, index);
  if (mailboxes.length > 0) return mailboxes;
  throw new CliError('usage', `${path} holds no ${format === 'mbox' ? 'mbox file' : 'Maildir'}`, {
    remedy: 'Check --from and --format.',
  });
}

type Told = Pick<ArchivedMailbox, 'name' | 'root'> & Partial<ArchivedMailbox>;

function toldBy(index: ArchiveIndex, name: string, mailbox: string): Told {
  const entry = index.entryOf(name);
  const root = parseMailboxName(entry?.mailbox ?? mailbox) === INBOX;
  if (entry === undefined) return { name: mailbox, root };
  const { mailbox: indexed, specialUse, subscribed } = entry;
  return { name: indexed, root, specialUse: specialUse ?? undefined, subscribed };
}

async function listMaildirs(path: string, index: ArchiveIndex): Promise<ArchivedMailbox[]> {
  const subscribed = index.empty ? await readSubscriptions(path) : undefined;
  const mailboxes: ArchivedMailbox[] = [];
  const entries = await readdir(path, { withFileTypes: true });
  const folders = entries.filter(
    (entry) => entry.isDirectory() && entry.name.startsWith('.') && isSafeName(entry.name),
  );
  for (const folder of ['', ...folders.map(({ name }) => name).sort()]) {
    const home = join(path, folder);
    if (!(await isMaildir(home))) continue;
    const told = toldBy(index, folder, mailboxOfFolder(folder));
    mailboxes.push({
      specialUse: undefined,
      subscribed: subscribed?.has(folder.slice(1) || INBOX),
      ...told,
      units: await countMaildir(home),
      read: (failed) => readMaildir(home, failed),
    });
  }
  return mailboxes;
}

/** Symbolic links lead out of what was named. */
async function isMaildir(path: string): Promise<boolean> {
  const subs = await Promise.all(
    ['cur', 'new'].map((sub) => lstat(join(path, sub)).catch(() => undefined)),
  );
  return subs.some((stats) => stats?.isDirectory());
}

/** As folders are called, without their first dot; both of Dovecot's formats. Undefined where there is no file. */
async function readSubscriptions(path: string): Promise<Set<string> | undefined> {
  const text = await readFile(join(path, SUBSCRIPTIONS_FILE), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const [first, ...lines] = text.split('\n');
  const names = first?.startsWith('V\t')
    ? lines.map((line) => line.replaceAll('\t', '.'))
    : text.split('\n');
  return new Set(names.filter((name) => name !== ''));
}

async function listMboxes(path: string, index: ArchiveIndex): Promise<ArchivedMailbox[]> {
  const entries = await readdir(path, { withFileTypes: true });
  const mailboxes: ArchivedMailbox[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = entry;
    const others = [INDEX_FILE, SUBSCRIPTIONS_FILE].includes(name) || name.endsWith('.progress');
    if (!entry.isFile() || others || name.startsWith('.')) continue;
    const told = toldBy(index, name, mailboxOfFile(name));
    const { size } = await lstat(join(path, name));
    mailboxes.push(mboxMailbox(join(path, name), told, size));
  }
  return mailboxes;
}

function mailboxOfFile(name: string): string {
  return unquoteName(name.replace(/\.mbox$/i, ''));
}

function mboxMailbox(path: string, told: Told, size: number): ArchivedMailbox {
  return {
    specialUse: undefined,
    subscribed: undefined,
    ...told,
    units: size,
    async *read(failed) {
      let position = 0;
      const messages = readMbox(createReadStream(path), () =>
        failed('the file', 'is no mbox: it does not begin with a line "From ..."'),
      );
      // positions become the octets of each
      for await (const message of messages) {
        yield { ...message, sourceOctets: message.sourceOctets - position };
        position = message.sourceOctets;
      }
    },
  };
}

/**
 * The mailbox that an archived one comes into, made where there is none; `into` is the mailbox for INBOX,
 * with the others below it. Throws CliError (usage) for a name that no mailbox can have.
 */
export async function targetMailbox(
  store: MailStore,
  accountId: AccountId,
  { name, root, specialUse, subscribed }: ArchivedMailbox,
  into: string | undefined,
): Promise<Mailbox> {
  const wanted = into === undefined ? name : root ? into : `${into}/${name}`;
  const parsed = parseMailboxName(wanted);
  if (parsed === undefined) {
    throw new CliError('usage', `no mailbox can be called ${JSON.stringify(wanted)}`, {
      remedy: 'Import it by itself, with --into.',
    });
  }
  const present = await store.mailboxes.find(accountId, parsed);
  if (present !== undefined) return present;
  const use = specialUse ?? USES[parsed.toLowerCase()];
  const used = (await store.mailboxes.list(accountId)).some((each) => each.specialUse === use);
  const made = await store.mailboxes.create(accountId, parsed, used ? undefined : use);
  if (subscribed !== false) await store.mailboxes.subscribe(accountId, parsed, true);
  return made;
}
