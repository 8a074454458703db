/** `concert domain`: the domains whose mail is taken here. */
import type { Domain, DomainChange } from '@mail/store';
import type { Command } from 'commander';
import { withStore } from '../account-store.ts';
import { examples, type Run } from '../command.ts';
import { describeLimits, limitsView, parseCountLimit, parseSizeLimit } from '../limits.ts';
import { columns, when } from '../output.ts';

interface DomainOptions {
  readonly catchAll?: string;
  readonly quota?: number | 'none';
  readonly messages?: number | 'none';
}

/** What was not said stays. */
function changeOf({ catchAll, quota, messages }: DomainOptions): DomainChange {
  return {
    ...(catchAll === undefined ? {} : { catchAll: catchAll === 'none' ? null : catchAll }),
    ...(quota === undefined ? {} : { octets: quota }),
    ...(messages === undefined ? {} : { messages }),
  };
}

function domainView({ name, catchAll, limits, createdAt }: Domain) {
  return {
    name,
    catchAll: catchAll ?? null,
    limits: limitsView(limits),
    createdAt: createdAt.toISOString(),
  };
}

function describeDomain({ name, catchAll, limits }: Domain): string {
  const quota = `quota of its accounts: ${describeLimits(limits)}`;
  return `${name}: ${quota}; catch-all: ${catchAll ?? 'none'}.`;
}

function withOptions(command: Command): Command {
  return command
    .option('--quota <size>', 'what each account may hold, or none', parseSizeLimit('none'))
    .option('--messages <count>', 'messages of each account, or none', parseCountLimit('none'))
    .option('--catch-all <address>', 'who gets mail for addresses that nobody has, or none');
}

export function addDomainCommands(program: Command, run: Run): void {
  const domain = program.command('domain').description('domains whose mail is taken here');
  withOptions(domain.command('add').description('take mail for a domain'))
    .argument('<domain>', 'such as example.com')
    .addHelpText(
      'after',
      `
An account makes its domain by itself. A domain without accounts has aliases or a catch-all.
${examples('concert domain add example.org --catch-all alice@example.com')}`,
    )
    .action((name: string, options: DomainOptions) =>
      run((context) =>
        withStore(context, async ({ directory: { domains } }) => {
          const added = await domains.add(name, changeOf(options));
          return { json: domainView(added), text: `Added ${describeDomain(added)}` };
        }),
      ),
    );
  domain
    .command('list')
    .description('list the domains')
    .addHelpText('after', examples('concert domain list --json'))
    .action(() =>
      run((context) =>
        withStore(context, async ({ directory }) => {
          const domains = await directory.domains.list();
          const rows = domains.map(({ name, accounts, aliases, limits, catchAll, createdAt }) => [
            name,
            String(accounts),
            String(aliases),
            describeLimits(limits),
            catchAll ?? 'none',
            when(createdAt.toISOString()),
          ]);
          const headings = ['DOMAIN', 'ACCOUNTS', 'ALIASES', 'QUOTA', 'CATCH-ALL', 'SINCE'];
          const views = domains.map((each) => {
            const { accounts, aliases } = each;
            return { ...domainView(each), accounts, aliases };
          });
          return { json: { domains: views }, text: columns(headings, rows) };
        }),
      ),
    );
  withOptions(domain.command('set').description("change a domain's quota or catch-all"))
    .argument('<domain>')
    .addHelpText(
      'after',
      `
The quota is that of each account without one of its own: \`concert account quota\`.
${examples(
  'concert domain set example.com --quota 5GB',
  'concert domain set example.com --catch-all none',
)}`,
    )
    .action((name: string, options: DomainOptions) =>
      run((context) =>
        withStore(context, async ({ directory: { domains } }) => {
          const set = await domains.change(name, changeOf(options));
          return { json: domainView(set), text: describeDomain(set) };
        }),
      ),
    );
  domain
    .command('remove')
    .description('take no more mail for a domain; it has no accounts and aliases any more')
    .argument('<domain>')
    .addHelpText('after', examples('concert domain remove example.org'))
    .action((name: string) =>
      run((context) =>
        withStore(context, async ({ directory }) => {
          await directory.domains.remove(name);
          return { json: { name, removed: true }, text: `Removed ${name}.` };
        }),
      ),
    );
}
