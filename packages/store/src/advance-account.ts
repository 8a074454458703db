/** The modification sequence of an account: what says that something but its messages has changed. */
import type { AccountId, ModSeq } from './mail-store.ts';
import type { WriteContext } from './write-context.ts';

/**
 * Takes the account's next modification sequence: for each write that changes names, subscriptions or
 * annotations. The account is locked (locks.ts).
 */
export async function advanceAccount(
  { db, touchAccount }: WriteContext,
  id: AccountId,
): Promise<ModSeq> {
  const { modseq } = await db
    .updateTable('accounts')
    .set((eb) => ({ modseq: eb('modseq', '+', 1) }))
    .where('id', '=', id)
    .returning('modseq')
    .executeTakeFirstOrThrow();
  touchAccount(id);
  return modseq;
}
