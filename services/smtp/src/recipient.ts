/** Which accounts a recipient's address means. */
import type { MailStore, Resolution } from '@mail/store';

export interface PostmasterRules {
  /** Our own name: mail to its postmaster is for whoever looks after the host. */
  readonly hostname: string;
  /** Address that is postmaster of every domain; by default each one's oldest account is. */
  readonly postmaster: string | undefined;
}

/** What is asked of the store. */
export interface KnownAddresses {
  readonly accounts: Pick<MailStore['accounts'], 'findOldest'>;
  readonly directory: Pick<MailStore['directory'], 'resolve'>;
}

/**
 * The accounts that the store has for that address, or the one that stands in for a postmaster: every domain
 * here has one, in any case (RFC 5321 §4.5.1). `path` is an envelope address.
 */
export async function findRecipients(
  path: string,
  { accounts, directory }: KnownAddresses,
  { hostname, postmaster }: PostmasterRules,
): Promise<Resolution> {
  const found = await directory.resolve(path);
  const [local, domain = ''] = path.toLowerCase().split('@');
  if (typeof found !== 'string' || local !== 'postmaster') return found;
  const isHost = domain === hostname.toLowerCase();
  if (found === 'not-local' && !isHost) return found;
  const named = postmaster === undefined ? found : await directory.resolve(postmaster);
  if (typeof named !== 'string') return named;
  const oldest = isHost ? undefined : await accounts.findOldest(domain);
  const account = oldest ?? (await accounts.findOldest());
  return account === undefined ? found : [account];
}
