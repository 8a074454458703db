/** `concert import`: mail out of files that other programs wrote, into the store. */
import { resolve } from 'node:path';
import type { Account, MailStore } from '@mail/store';
import { type Command, Option } from 'commander';
import { withStore } from '../account-store.ts';
import {
  type ArchivedMailbox,
  type ArchiveFormat,
  listArchive,
  targetMailbox,
} from '../archives/archive-mailboxes.ts';
import { importMessages } from '../archives/import-messages.ts';
import { megaoctets, WorkReport } from '../archives/work-report.ts';
import { type CommandContext, type CommandResult, examples, type Run } from '../command.ts';
import { CliError, EXIT_FOUND } from '../errors.ts';

interface ImportOptions {
  readonly from: string;
  readonly format: ArchiveFormat;
  readonly into?: string;
  readonly force?: boolean;
}

async function importMailbox(
  store: MailStore,
  account: Account,
  archived: ArchivedMailbox,
  { into, force = false }: ImportOptions,
  report: WorkReport,
): Promise<void> {
  const { name } = archived;
  report.begin(name);
  const failed = (where: string, why: string): void => report.fail(`${name}, ${where}`, why);
  let mailbox: Awaited<ReturnType<typeof targetMailbox>>;
  try {
    mailbox = await targetMailbox(store, account.id, archived, into);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return failed('the whole mailbox', error.message);
  }
  const target = { store, mailboxId: mailbox.id, name, again: force, report };
  await importMessages(target, archived.read(failed));
}

async function importMail(
  context: CommandContext,
  address: string,
  options: ImportOptions,
): Promise<CommandResult> {
  const { terminal } = context;
  const report = new WorkReport(terminal);
  const archive = await listArchive(resolve(options.from), options.format);
  terminal.sayIfInterrupted('interrupted; the same command goes on where it was');
  return withStore(context, async (store) => {
    const account = await store.accounts.find(address);
    if (account === undefined) throw new CliError('not-found', `there is no account ${address}`);
    for (const { units } of archive) report.expect(units);
    try {
      for (const archived of archive) {
        await importMailbox(store, account, archived, options, report);
      }
    } finally {
      report.end();
      terminal.sayIfInterrupted('');
    }
    const { done, skipped, octets, failed, failures } = report;
    const there = skipped === 0 ? '' : `, ${skipped} were imported before`;
    const head = `${done} messages imported (${megaoctets(octets)} read)${there}, ${failed} failed.`;
    return {
      json: { imported: done, present: skipped, octets, failed, failures },
      text: [head, ...report.describeFailures()].join('\n'),
      exitCode: failed === 0 ? 0 : EXIT_FOUND,
    };
  });
}

export function addImportCommand(program: Command, run: Run): void {
  program
    .command('import')
    .description('bring mail from files, Maildir or mbox, into a mailbox')
    .argument('<address>', 'whose mail it becomes')
    .requiredOption('--from <path>', 'a Maildir; for mbox a file, or a folder of them')
    .addOption(
      new Option('--format <format>', 'what it is').choices(['maildir', 'mbox']).default('maildir'),
    )
    .option('--into <mailbox>', 'the mailbox for INBOX, with the others below it')
    .option('--force', 'bring also what was imported before')
    .addHelpText(
      'after',
      `
Interrupted, it goes on where it was when it is run again: no message comes twice.
${examples(
  'concert import alice@example.com --from /home/alice/Maildir',
  'concert import alice@example.com --from old.mbox --format mbox --into Old',
)}`,
    )
    .action((address: string, options: ImportOptions) =>
      run((context) => importMail(context, address, options)),
    );
}
