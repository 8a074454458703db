/**
 * Whether an account has room for messages that its client announces, so that a large one need not be heard
 * before it is refused. The last word is the store's, when it is to be kept.
 */
import type { AccountId, Quotas } from '@mail/store';
import { isStoreUnavailable } from './errors.ts';

export interface Coming {
  readonly octets: number;
  readonly messages: number;
}

export async function hasRoom(
  quotas: Pick<Quotas, 'read'>,
  accountId: AccountId,
  { octets, messages }: Coming,
): Promise<boolean> {
  try {
    const { used, limits } = await quotas.read(accountId);
    const fits = (held: number, coming: number, limit = Number.POSITIVE_INFINITY) =>
      held + coming <= limit;
    return (
      fits(used.octets, octets, limits.octets) && fits(used.messages, messages, limits.messages)
    );
  } catch (error) {
    // whoever keeps the messages hears it too, and says so
    if (isStoreUnavailable(error)) return true;
    throw error;
  }
}
