/** `concert account`: who has a mailbox here. Works on the store itself; the registry knows no mail. */
import type { Account } from '@mail/store';
import type { Command } from 'commander';
import { findAccount, withStore } from '../account-store.ts';
import { type CommandContext, examples, type Run } from '../command.ts';
import { CliError } from '../errors.ts';
import { describeLimits, limitsView, parseCountLimit, parseSizeLimit } from '../limits.ts';
import { columns, when } from '../output.ts';
import { newPassword } from '../passwords.ts';
import { formatSize } from '../sizes.ts';
import { addAccountQuotaCommand } from './account-quota.ts';
import { addAppPasswordCommands } from './app-password.ts';

interface PasswordOptions {
  readonly passwordStdin?: boolean;
}

interface AddOptions extends PasswordOptions {
  readonly quota?: number | 'none';
  readonly messages?: number | 'none';
}

/** Never an argument: those can be read in the process list and in the shell's history. */
async function readPassword(options: PasswordOptions, context: CommandContext): Promise<string> {
  if (options.passwordStdin === true) return context.terminal.readSecretLine();
  const password = await context.terminal.askHidden('Password: ');
  if (password === '') throw new CliError('usage', 'the password is empty');
  if (password !== (await context.terminal.askHidden('Once more: '))) {
    throw new CliError('usage', 'the two passwords differ');
  }
  return password;
}

function accountView(account: Account) {
  return { address: account.address, createdAt: account.createdAt.toISOString() };
}

export function addAccountCommands(program: Command, run: Run): void {
  const account = program
    .command('account')
    .description('mailboxes on this host and their passwords');
  account
    .command('add')
    .description('add a mailbox; its user logs in with the whole address')
    .argument('<address>', 'such as alice@example.com')
    .option('--password-stdin', 'the password is the first line of standard input')
    .option(
      '--quota <size>',
      'what it may hold, or none (default: what its domain has)',
      parseSizeLimit('none'),
    )
    .option(
      '--messages <count>',
      'messages that it may hold, or none (default: what its domain has)',
      parseCountLimit('none'),
    )
    .addHelpText(
      'after',
      examples(
        'concert account add alice@example.com',
        'concert account add alice@example.com --quota 5GB',
        "printf 'secret\\n' | concert account add alice@example.com --password-stdin",
      ),
    )
    .action((address: string, options: AddOptions) =>
      run(async (context) => {
        const password = await readPassword(options, context);
        return withStore(context, async (store) => {
          const { passwordHash, scramKeys } = await newPassword(store, address, password);
          const added = await store.accounts.add(address, passwordHash, scramKeys);
          const { quota, messages } = options;
          await store.quotas.change(added.id, {
            ...(quota === undefined ? {} : { octets: quota }),
            ...(messages === undefined ? {} : { messages }),
          });
          return { json: accountView(added), text: `Added ${added.address}.` };
        });
      }),
    );
  account
    .command('list')
    .description('list the mailboxes, what they hold and may hold')
    .addHelpText('after', examples('concert account list --json'))
    .action(() =>
      run((context) =>
        withStore(context, async (store) => {
          const quotas = await store.quotas.list();
          const accounts = quotas.map(({ account, used, limits }) => ({
            ...accountView(account),
            used,
            limits: limitsView(limits),
          }));
          const rows = quotas.map(({ account: { address, createdAt }, used, limits }) => [
            address,
            formatSize(used.octets),
            String(used.messages),
            describeLimits(limits),
            when(createdAt.toISOString()),
          ]);
          const headings = ['ADDRESS', 'HOLDS', 'MESSAGES', 'QUOTA', 'SINCE'];
          return { json: { accounts }, text: columns(headings, rows) };
        }),
      ),
    );
  account
    .command('passwd')
    .description('give a mailbox another password')
    .argument('<address>')
    .option('--password-stdin', 'the password is the first line of standard input')
    .addHelpText('after', examples('concert account passwd alice@example.com'))
    .action((address: string, options: PasswordOptions) =>
      run((context) =>
        withStore(context, async (store) => {
          const found = await findAccount(store, address);
          const password = await readPassword(options, context);
          await store.accounts.setPassword(
            found.id,
            await newPassword(store, found.address, password),
          );
          return {
            json: accountView(found),
            text: `${found.address} has a new password from now on.`,
          };
        }),
      ),
    );
  addAccountQuotaCommand(account, run);
  addAppPasswordCommands(account, run);
  account
    .command('remove')
    .description('remove a mailbox with all its mail')
    .argument('<address>')
    .option('--yes', 'do not ask')
    .addHelpText('after', examples('concert account remove alice@example.com --yes'))
    .action((address: string, options: { yes?: boolean }) =>
      run((context) =>
        withStore(context, async (store) => {
          const found = await findAccount(store, address);
          const question = `Remove ${found.address} and all its mail for good?`;
          if (options.yes !== true && !(await context.terminal.confirm(question))) {
            throw new CliError('usage', `${found.address} was not removed`, {
              remedy: 'Say yes, or give --yes.',
            });
          }
          await store.accounts.remove(found.id);
          return {
            json: { address: found.address, removed: true },
            text: `Removed ${found.address} and its mail.`,
          };
        }),
      ),
    );
}
