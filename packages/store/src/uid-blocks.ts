/**
 * The stored half of UidSet and FlagOctets: each mailbox's blocks, kept right by every write that places,
 * changes or removes messages. In all of them the mailbox is locked.
 */
import type { Kysely } from 'kysely';
import { FlagOctets } from './flag-octets.ts';
import type { StoredFlags } from './flags.ts';
import { inGroups } from './id-groups.ts';
import type { MailboxId, Uid } from './mail-store.ts';
import type { Schema } from './schema.ts';
import { blockHas, UIDS_PER_BLOCK, UidSet } from './uid-set.ts';
import type { WriteContext } from './write-context.ts';

export type FlaggedUid = StoredFlags & { readonly uid: Uid };

export const blockOf = ({ uid }: { readonly uid: Uid }): number => Math.floor(uid / UIDS_PER_BLOCK);

export async function readUids(db: Kysely<Schema>, mailboxId: MailboxId): Promise<UidSet> {
  const blocks = await db
    .selectFrom('uid_blocks')
    .select(['number', 'bits'])
    .where('mailbox_id', '=', mailboxId)
    .orderBy('number')
    .execute();
  return new UidSet(blocks);
}

/** The flags of each of `uids`, ascending: undefined of one that is not there. */
export async function readBlockFlags(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  uids: readonly Uid[],
): Promise<(readonly string[] | 'and-keywords' | undefined)[]> {
  const blocks = new Map<number, { bits: Uint8Array; flags: FlagOctets }>();
  for (const group of inGroups([...new Set(uids.map((uid) => blockOf({ uid })))])) {
    const rows = await db
      .selectFrom('uid_blocks')
      .select(['number', 'bits', 'flags'])
      .where('mailbox_id', '=', mailboxId)
      .where('number', 'in', group)
      .execute();
    for (const { number, bits, flags } of rows) {
      blocks.set(number, { bits, flags: new FlagOctets(flags) });
    }
  }
  return uids.map((uid) => {
    const block = blocks.get(blockOf({ uid }));
    if (block === undefined || !blockHas(block.bits, uid)) return undefined;
    return block.flags.get(uid) ?? 'and-keywords';
  });
}

/** New messages. */
export async function addToBlocks(
  context: WriteContext,
  mailboxId: MailboxId,
  messages: readonly FlaggedUid[],
): Promise<void> {
  await changeBlocks(context, mailboxId, messages, (uids, flags, message) => {
    uids.add(message.uid);
    flags.set(message.uid, message);
  });
}

export async function changeInBlocks(
  context: WriteContext,
  mailboxId: MailboxId,
  messages: readonly FlaggedUid[],
): Promise<void> {
  await changeBlocks(context, mailboxId, messages, (_, flags, message) => {
    flags.set(message.uid, message);
  });
}

export async function removeFromBlocks(
  context: WriteContext,
  mailboxId: MailboxId,
  messages: readonly { readonly uid: Uid }[],
): Promise<void> {
  await changeBlocks(context, mailboxId, messages, (uids, flags, { uid }) => {
    uids.delete(uid);
    flags.set(uid, { flags: 0, keywords: '' });
  });
}

async function changeBlocks<M extends { readonly uid: Uid }>(
  { db }: WriteContext,
  mailboxId: MailboxId,
  messages: readonly M[],
  change: (uids: UidSet, flags: FlagOctets, message: M) => void,
): Promise<void> {
  for (const [number, changed] of Map.groupBy(messages, blockOf)) {
    const stored = await db
      .selectFrom('uid_blocks')
      .select(['number', 'bits', 'flags'])
      .where('mailbox_id', '=', mailboxId)
      .where('number', '=', number)
      .executeTakeFirst();
    const uids = new UidSet(stored && [stored]);
    const octets = new FlagOctets(stored?.flags);
    for (const message of changed) change(uids, octets, message);
    const [block] = uids.blocks();
    if (block === undefined) {
      await db
        .deleteFrom('uid_blocks')
        .where('mailbox_id', '=', mailboxId)
        .where('number', '=', number)
        .execute();
    } else {
      const { bits } = block;
      const flags = octets.octets;
      await db
        .insertInto('uid_blocks')
        .values({ mailbox_id: mailboxId, number, bits, flags })
        .onConflict((conflict) =>
          conflict.columns(['mailbox_id', 'number']).doUpdateSet({ bits, flags }),
        )
        .execute();
    }
  }
}
