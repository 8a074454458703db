/**
 * GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208 §4.1). An account has one quota root, named by its address, for
 * all its mailboxes, whoever fills them; none where nothing is limited, since only limits are told of a root. Users do not set
 * their own: QUOTASET is not announced.
 */
import type { Account, Quota } from '@mail/store';
import { withOwner } from '../access/mailboxes.ts';
import { has } from '../access/rights.ts';
import { refuse } from '../errors.ts';
import type { SetQuotaArguments } from '../parser/quota.ts';
import type { Completion, Session } from '../session.ts';

/** STORAGE is told in units of so many octets (RFC 9208 §5.1). */
const UNIT_OCTETS = 1024;

/** Rounded up on both sides, so that usage below its limit never looks like more than that. */
const units = (octets: number): number => Math.ceil(octets / UNIT_OCTETS);

/** "STORAGE 1 10" and the like, of what is limited. */
function resources({ used, limits }: Quota): string[] {
  const told: string[] = [];
  if (limits.octets !== undefined) {
    told.push(`STORAGE ${units(used.octets)} ${units(limits.octets)}`);
  }
  if (limits.messages !== undefined) told.push(`MESSAGE ${used.messages} ${limits.messages}`);
  return told;
}

/** Undefined where the account has no root. */
async function quotaResponse(
  session: Session,
  { id, address }: Account,
): Promise<string | undefined> {
  const told = resources(await session.store.quotas.read(id));
  if (told.length === 0) return undefined;
  return `QUOTA ${session.strings.astring(address)} (${told.join(' ')})`;
}

const noSuchRoot = () => refuse('NONEXISTENT', 'No such quota root');

/** RFC 9208 §4.1.1. */
export async function getQuota(session: Session, root: string): Promise<Completion> {
  const { account } = session;
  const response = root === account.address ? await quotaResponse(session, account) : undefined;
  if (response === undefined) throw noSuchRoot();
  session.response.untagged(response);
  return { text: 'GETQUOTA completed' };
}

/** RFC 9208 §4.1.2. */
export async function getQuotaRoot(session: Session, name: string): Promise<Completion> {
  const { strings, response } = session;
  const mailbox = await session.findMailbox(name, has('r'));
  const { owner } = mailbox;
  const quota = await withOwner(session, owner, quotaResponse(session, owner));
  const root = quota === undefined ? '' : ` ${strings.astring(owner.address)}`;
  response.untagged(`QUOTAROOT ${strings.mailbox(mailbox.name)}${root}`);
  if (quota !== undefined) response.untagged(quota);
  return { text: 'GETQUOTAROOT completed' };
}

/** RFC 9208 §4.1.3. */
export function setQuota(session: Session, { root }: SetQuotaArguments): Completion {
  if (root !== session.account.address) throw noSuchRoot();
  throw refuse('NOPERM', 'Only the operator sets limits');
}
