/** `concert account quota`: what an account holds, and may hold. */
import type { Account, AccountLimitsChange, MailStore } from '@mail/store';
import type { Command } from 'commander';
import { findAccount, withStore } from '../account-store.ts';
import { examples, type Run } from '../command.ts';
import { describeLimits, limitsView, parseCountLimit, parseSizeLimit } from '../limits.ts';
import { formatSize } from '../sizes.ts';

type Limit = number | 'none' | 'default';

async function describeQuota(store: MailStore, { id, address }: Account) {
  const { used, limits } = await store.quotas.read(id);
  const holds = `${formatSize(used.octets)} in ${used.messages} messages`;
  return {
    json: { address, used, limits: limitsView(limits) },
    text: `${address} holds ${holds}; quota: ${describeLimits(limits)}.`,
  };
}

export function addAccountQuotaCommand(account: Command, run: Run): void {
  account
    .command('quota')
    .description('show or set what a mailbox may hold')
    .argument('<address>')
    .argument(
      '[limit]',
      'a size such as 5GB; none; or default, for what its domain has',
      parseSizeLimit('none', 'default'),
    )
    .option(
      '--messages <count>',
      'messages that it may hold; none; or default',
      parseCountLimit('none', 'default'),
    )
    .addHelpText(
      'after',
      `
Where it holds more already, nothing is removed: no mail comes in until there is room.
${examples(
  'concert account quota alice@example.com',
  'concert account quota alice@example.com 5GB --messages 100000',
  'concert account quota alice@example.com default',
)}`,
    )
    .action((address: string, limit: Limit | undefined, options: { messages?: Limit }) =>
      run((context) =>
        withStore(context, async (store) => {
          const found = await findAccount(store, address);
          const change: AccountLimitsChange = {
            ...(limit === undefined ? {} : { octets: limit }),
            ...(options.messages === undefined ? {} : { messages: options.messages }),
          };
          if (Object.keys(change).length > 0) await store.quotas.change(found.id, change);
          return describeQuota(store, found);
        }),
      ),
    );
}
