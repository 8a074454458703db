/** `concert alias`: addresses that stand for accounts, or for other aliases. */
import type { Alias } from '@mail/store';
import type { Command } from 'commander';
import { withStore } from '../account-store.ts';
import { examples, type Run } from '../command.ts';
import { columns, when } from '../output.ts';

function aliasView({ address, targets, createdAt }: Alias) {
  return { address, targets, createdAt: createdAt.toISOString() };
}

function describeTargets({ targets }: Alias): string {
  return targets
    .map(({ address, reachable }) => (reachable ? address : `${address} (leads nowhere)`))
    .join(', ');
}

export function addAliasCommands(program: Command, run: Run): void {
  const alias = program
    .command('alias')
    .description('addresses that stand for accounts, or for other aliases');
  alias
    .command('add')
    .description('let an address stand for others, or for more of them')
    .argument('<address>', 'such as sales@example.com')
    .argument('<targets...>', 'accounts or aliases here; each gets the mail')
    .addHelpText(
      'after',
      `
Its domain is here: \`concert domain add\`. What follows a + needs no alias: alice+lists@example.com is
alice@example.com.
${examples('concert alias add sales@example.com alice@example.com bob@example.com')}`,
    )
    .action((address: string, targets: string[]) =>
      run((context) =>
        withStore(context, async ({ directory }) => {
          const added = await directory.aliases.add(address, targets);
          return {
            json: aliasView(added),
            text: `${added.address} stands for ${describeTargets(added)}.`,
          };
        }),
      ),
    );
  alias
    .command('list')
    .description('list the aliases')
    .addHelpText('after', examples('concert alias list --json'))
    .action(() =>
      run((context) =>
        withStore(context, async ({ directory }) => {
          const aliases = await directory.aliases.list();
          const rows = aliases.map((each) => [
            each.address,
            describeTargets(each),
            when(each.createdAt.toISOString()),
          ]);
          return {
            json: { aliases: aliases.map(aliasView) },
            text: columns(['ALIAS', 'STANDS FOR', 'SINCE'], rows),
          };
        }),
      ),
    );
  alias
    .command('remove')
    .description('remove an alias, or some of what it stands for')
    .argument('<address>')
    .argument('[targets...]', 'without them all of it')
    .addHelpText(
      'after',
      examples(
        'concert alias remove sales@example.com',
        'concert alias remove sales@example.com bob@example.com',
      ),
    )
    .action((address: string, targets: string[]) =>
      run((context) =>
        withStore(context, async ({ directory }) => {
          await directory.aliases.remove(address, targets.length === 0 ? undefined : targets);
          const text =
            targets.length === 0
              ? `Removed the alias ${address}.`
              : `${address} stands for ${targets.join(', ')} no more.`;
          return { json: { address, targets, removed: true }, text };
        }),
      ),
    );
}
