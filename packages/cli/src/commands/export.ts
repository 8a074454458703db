/** `concert export`: mail out of the store, into files that other programs read. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Account, INBOX, type Mailbox, type MailStore } from '@mail/store';
import { type Command, Option } from 'commander';
import { withStore } from '../account-store.ts';
import { ArchiveIndex, replaceFile } from '../archives/archive-index.ts';
import { type ArchiveFormat, SUBSCRIPTIONS_FILE } from '../archives/archive-mailboxes.ts';
import { foldName, freeName, maildirFolder, quoteName } from '../archives/file-names.ts';
import { exportToMaildir } from '../archives/maildir-export.ts';
import { exportToMbox } from '../archives/mbox-export.ts';
import { megaoctets, WorkReport } from '../archives/work-report.ts';
import { type CommandContext, type CommandResult, examples, type Run } from '../command.ts';
import { CliError, EXIT_FOUND } from '../errors.ts';

interface ExportOptions {
  readonly all?: boolean;
  readonly to: string;
  readonly format: ArchiveFormat;
  readonly mailbox?: string[];
}

async function accountsOf(
  store: MailStore,
  address: string | undefined,
  all: boolean,
): Promise<readonly Account[]> {
  if (all === (address !== undefined)) {
    throw new CliError('usage', 'name one account, or say --all');
  }
  if (address === undefined) return store.accounts.list();
  const account = await store.accounts.find(address);
  if (account === undefined) throw new CliError('not-found', `there is no account ${address}`);
  return [account];
}

async function mailboxesOf(
  store: MailStore,
  account: Account,
  names: readonly string[] | undefined,
): Promise<readonly Mailbox[]> {
  if (names === undefined) return store.mailboxes.list(account.id);
  const found: Mailbox[] = [];
  for (const name of names) {
    const mailbox = await store.mailboxes.find(account.id, name);
    if (mailbox === undefined) {
      throw new CliError('not-found', `${account.address} has no mailbox ${name}`);
    }
    found.push(mailbox);
  }
  return found;
}

async function exportAccount(
  store: MailStore,
  folder: string,
  mailboxes: readonly Mailbox[],
  format: ArchiveFormat,
  report: WorkReport,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const index = await ArchiveIndex.read(folder);
  for (const mailbox of mailboxes) {
    const { name, uidValidity, specialUse = null, subscribed } = mailbox;
    const wanted = format === 'maildir' ? maildirFolder(name) : `${quoteName(name)}.mbox`;
    const file = index.place({ mailbox: name, uidValidity, specialUse, subscribed }, wanted);
    // before the first message: whoever comes after an interruption finds the same names
    await index.write();
    report.begin(name);
    if (format === 'mbox') await exportToMbox(store, mailbox, join(folder, file), report);
    else await exportToMaildir(store, mailbox, join(folder, file), name === INBOX, report);
  }
  if (format === 'maildir') await writeSubscriptions(folder, index, mailboxes);
}

/** As Dovecot keeps it: names of folders without their first dot, a line each. */
async function writeSubscriptions(
  folder: string,
  index: ArchiveIndex,
  mailboxes: readonly Mailbox[],
): Promise<void> {
  const subscribed = mailboxes.filter((mailbox) => mailbox.subscribed);
  const lines = subscribed.map(({ name }) => `${index.nameOf(name)?.slice(1) || INBOX}\n`);
  await replaceFile(join(folder, SUBSCRIPTIONS_FILE), lines.join(''));
}

async function exportMail(
  context: CommandContext,
  address: string | undefined,
  { all = false, to, format, mailbox: names }: ExportOptions,
): Promise<CommandResult> {
  const { terminal } = context;
  const report = new WorkReport(terminal);
  terminal.sayIfInterrupted('interrupted; the same command goes on where it was');
  return withStore(context, async (store) => {
    const work: { folder: string; mailboxes: readonly Mailbox[] }[] = [];
    const taken = new Set<string>();
    for (const account of await accountsOf(store, address, all)) {
      const name = freeName(quoteName(account.address), account.address, taken);
      taken.add(foldName(name));
      const mailboxes = await mailboxesOf(store, account, names);
      for (const { id } of mailboxes) report.expect((await store.mailboxes.status(id)).messages);
      work.push({ folder: all ? resolve(to, name) : resolve(to), mailboxes });
    }
    try {
      for (const { folder, mailboxes } of work) {
        await exportAccount(store, folder, mailboxes, format, report);
      }
    } finally {
      report.end();
      terminal.sayIfInterrupted('');
    }
    const { done, skipped, octets, failed, failures } = report;
    const there = skipped === 0 ? '' : `, ${skipped} were there`;
    const head = `${done} messages exported (${megaoctets(octets)})${there}, ${failed} failed.`;
    return {
      json: { exported: done, present: skipped, octets, failed, failures },
      text: [head, ...report.describeFailures()].join('\n'),
      exitCode: failed === 0 ? 0 : EXIT_FOUND,
    };
  });
}

export function addExportCommand(program: Command, run: Run): void {
  program
    .command('export')
    .description('write mail to files, as Maildir or mbox')
    .argument('[address]', 'whose mail')
    .option('--all', "everybody's, each account in a folder of its own")
    .requiredOption('--to <dir>', 'folder for the files; made where there is none')
    .addOption(
      new Option('--format <format>', 'how').choices(['maildir', 'mbox']).default('maildir'),
    )
    .option('--mailbox <name...>', 'only these mailboxes')
    .addHelpText(
      'after',
      `
Interrupted, it goes on where it was when it is run again; run later, it adds what is new.
${examples(
  'concert export alice@example.com --to /backup/alice',
  'concert export --all --to /backup --format mbox',
)}`,
    )
    .action((address: string | undefined, options: ExportOptions) =>
      run((context) => exportMail(context, address, options)),
    );
}
