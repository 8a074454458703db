/** Which account a recipient's address means. */
import type { Account, Accounts } from '@mail/store';

export interface PostmasterRules {
  /** Our own name: mail to its postmaster is for whoever looks after the host. */
  readonly hostname: string;
  /** Address of the account that is postmaster of every domain; by default each one's oldest is. */
  readonly postmaster: string | undefined;
}

/**
 * The account with that address, or the one that stands in for a postmaster: every domain that has
 * mailboxes here has one, in any case (RFC 5321 §4.5.1). `path` is an envelope address.
 */
export async function findRecipient(
  path: string,
  accounts: Pick<Accounts, 'find' | 'findOldest'>,
  { hostname, postmaster }: PostmasterRules,
): Promise<Account | undefined> {
  const account = await accounts.find(path);
  const [local, domain = ''] = path.toLowerCase().split('@');
  if (account !== undefined || local !== 'postmaster') return account;
  const isHost = domain === hostname.toLowerCase();
  const oldest = await accounts.findOldest(isHost ? undefined : domain);
  // a domain without mailboxes is not ours
  if (postmaster === undefined || oldest === undefined) return oldest;
  return (await accounts.find(postmaster)) ?? oldest;
}
