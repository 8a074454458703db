/** The stored half of UidSet: each mailbox's blocks, kept right by every write that places or removes messages. */
import type { Kysely } from 'kysely';
import { inGroups } from './id-groups.ts';
import type { MailboxId, Uid } from './mail-store.ts';
import type { Schema } from './schema.ts';
import { UIDS_PER_BLOCK, UidSet } from './uid-set.ts';
import type { WriteContext } from './write-context.ts';

const blockOf = (uid: Uid): number => Math.floor(uid / UIDS_PER_BLOCK);

export async function readUids(db: Kysely<Schema>, mailboxId: MailboxId): Promise<UidSet> {
  const blocks = await db
    .selectFrom('uid_blocks')
    .select(['number', 'bits'])
    .where('mailbox_id', '=', mailboxId)
    .orderBy('number')
    .execute();
  return new UidSet(blocks);
}

/** `count` UIDs from `first`; the mailbox is locked. */
export async function addUids(
  { db }: WriteContext,
  mailboxId: MailboxId,
  first: Uid,
  count: number,
): Promise<void> {
  const last = first + count - 1;
  // behind the first block there is nothing yet
  const begun = await db
    .selectFrom('uid_blocks')
    .select(['number', 'bits'])
    .where('mailbox_id', '=', mailboxId)
    .where('number', '=', blockOf(first))
    .executeTakeFirst();
  const uids = new UidSet(begun === undefined ? [] : [begun]);
  for (let uid = first; uid <= last; uid += 1) uids.add(uid);
  for (const { number, bits } of uids.blocks()) {
    await db
      .insertInto('uid_blocks')
      .values({ mailbox_id: mailboxId, number, bits })
      .onConflict((conflict) => conflict.columns(['mailbox_id', 'number']).doUpdateSet({ bits }))
      .execute();
  }
}

/** The mailbox is locked. */
export async function removeUids(
  { db }: WriteContext,
  mailboxId: MailboxId,
  removed: readonly Uid[],
): Promise<void> {
  const byBlock = Map.groupBy(removed, blockOf);
  for (const group of inGroups([...byBlock.keys()])) {
    const rows = await db
      .selectFrom('uid_blocks')
      .select(['number', 'bits'])
      .where('mailbox_id', '=', mailboxId)
      .where('number', 'in', group)
      .execute();
    for (const row of rows) {
      const uids = new UidSet([row]);
      for (const uid of byBlock.get(row.number) ?? []) uids.delete(uid);
      const [left] = uids.blocks();
      const block = { mailbox_id: mailboxId, number: row.number };
      if (left === undefined) await deleteBlock(db, block);
      else await setBits(db, block, left.bits);
    }
  }
}

interface BlockKey {
  readonly mailbox_id: MailboxId;
  readonly number: number;
}

async function deleteBlock(db: Kysely<Schema>, block: BlockKey): Promise<void> {
  await db
    .deleteFrom('uid_blocks')
    .where('mailbox_id', '=', block.mailbox_id)
    .where('number', '=', block.number)
    .execute();
}

async function setBits(db: Kysely<Schema>, block: BlockKey, bits: Uint8Array): Promise<void> {
  await db
    .updateTable('uid_blocks')
    .set({ bits })
    .where('mailbox_id', '=', block.mailbox_id)
    .where('number', '=', block.number)
    .execute();
}
