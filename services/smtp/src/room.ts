/**
 * Whether mailboxes have room for a message that has not come yet. The store says the last word, and SMTP has
 * one answer to a message for all its recipients. So a recipient whose room is not certain to do has a
 * transaction of its own: nobody else's message waits for a full mailbox, or comes twice because of one.
 */
import type { Account, Quotas } from '@mail/store';

/** What delivery adds to the text: Return-Path, Received, missing fields. And clients estimate (RFC 1870 §6.1). */
const ALLOWANCE_OCTETS = 16 * 1024;

/** In the order of how bad it is. "too-large": also when the mailbox were empty. */
const OUTLOOKS = ['enough', 'uncertain', 'none', 'too-large'] as const;
export type Outlook = (typeof OUTLOOKS)[number];

export interface Expected {
  /** What the client has said (RFC 1870), if anything. */
  readonly declaredOctets: number | undefined;
  /** Of the largest message that is taken. */
  readonly maxMessageBytes: number;
}

/** Of the account with the least room. */
export async function lookForRoom(
  accounts: readonly Account[],
  expected: Expected,
  quotas: Pick<Quotas, 'read'>,
): Promise<Outlook> {
  let worst = 0;
  for (const { id } of accounts) {
    const outlook = outlookOf(await quotas.read(id), expected);
    worst = Math.max(worst, OUTLOOKS.indexOf(outlook));
  }
  return OUTLOOKS[worst] ?? 'enough';
}

function outlookOf(
  { used, limits }: Awaited<ReturnType<Quotas['read']>>,
  { declaredOctets, maxMessageBytes }: Expected,
): Outlook {
  const { octets = Number.POSITIVE_INFINITY, messages = Number.POSITIVE_INFINITY } = limits;
  const least = declaredOctets ?? 1;
  if (least > octets) return 'too-large';
  if (used.messages + 1 > messages || used.octets + least > octets) return 'none';
  const most = declaredOctets === undefined ? maxMessageBytes : declaredOctets;
  return used.octets + most + ALLOWANCE_OCTETS > octets ? 'uncertain' : 'enough';
}
