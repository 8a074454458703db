/** `concert account app-password`: passwords for programs, each with a name, beside the account's own. */
import { createAppPassword } from '@mail/auth';
import type { AppPassword, MailStore } from '@mail/store';
import { type Command, InvalidArgumentError } from 'commander';
import { findAccount, withStore } from '../account-store.ts';
import { examples, type Run } from '../command.ts';
import { columns, when } from '../output.ts';
import { passwordOwner } from '../passwords.ts';

const MS_PER_DAY = 86_400_000;
const MAX_DAYS = 3_650;

function readDays(text: string): number {
  const days = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (days >= 1 && days <= MAX_DAYS) return days;
  throw new InvalidArgumentError(`Say 1 to ${MAX_DAYS} days.`);
}

function appPasswordView({ name, createdAt, expiresAt, lastUsedAt }: AppPassword) {
  return {
    name,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt?.toISOString() ?? null,
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
  };
}

async function add(store: MailStore, address: string, name: string, days: number | undefined) {
  const account = await findAccount(store, address);
  const owner = await passwordOwner(store, account.address);
  const { password, hash, scramKeys } = await createAppPassword(owner);
  const expiresAt = days === undefined ? undefined : new Date(Date.now() + days * MS_PER_DAY);
  const added = await store.appPasswords.add(account.id, { name, hash, scramKeys, expiresAt });
  const until = added.expiresAt ? `, good until ${when(added.expiresAt.toISOString())}` : '';
  return {
    json: { address: account.address, password, ...appPasswordView(added) },
    text: `${password}\nThis is shown once: the password "${name}" of ${account.address}${until}.`,
  };
}

export function addAppPasswordCommands(account: Command, run: Run): void {
  const appPassword = account
    .command('app-password')
    .description('passwords for single programs, beside the account’s own');
  appPassword
    .command('add')
    .description('make a password for a program and show it, once')
    .argument('<address>')
    .argument('<name>', 'what it is for, such as phone')
    .option('--days <n>', 'good for so many days; without it until it is removed', readDays)
    .addHelpText(
      'after',
      examples(
        'concert account app-password add alice@example.com phone',
        'concert account app-password add alice@example.com laptop --days 90',
      ),
    )
    .action((address: string, name: string, options: { days?: number }) =>
      run((context) => withStore(context, (store) => add(store, address, name, options.days))),
    );
  appPassword
    .command('list')
    .description('list what programs have a password, never the passwords')
    .argument('<address>')
    .addHelpText('after', examples('concert account app-password list alice@example.com --json'))
    .action((address: string) =>
      run((context) =>
        withStore(context, async (store) => {
          const { id, address: own } = await findAccount(store, address);
          const appPasswords = (await store.appPasswords.list(id)).map(appPasswordView);
          const rows = appPasswords.map((each) => [
            each.name,
            when(each.createdAt),
            each.lastUsedAt === null ? 'never' : when(each.lastUsedAt),
            each.expiresAt === null ? 'never' : when(each.expiresAt),
          ]);
          return {
            json: { address: own, appPasswords },
            text: columns(['NAME', 'SINCE', 'LAST USED', 'EXPIRES'], rows),
          };
        }),
      ),
    );
  appPassword
    .command('remove')
    .description('take a program its password: its next login fails')
    .argument('<address>')
    .argument('<name>')
    .addHelpText('after', examples('concert account app-password remove alice@example.com phone'))
    .action((address: string, name: string) =>
      run((context) =>
        withStore(context, async (store) => {
          const found = await findAccount(store, address);
          await store.appPasswords.remove(found.id, name);
          return {
            json: { address: found.address, name, removed: true },
            text: `Removed the password "${name}" of ${found.address}.`,
          };
        }),
      ),
    );
}
