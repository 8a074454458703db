/**
 * What others than its owner may do with a mailbox (RFC 4314): one row for each of them, in letters. Services
 * ask here and keep to the answer; other writes take whoever comes. A change counts as one of the mailbox and of
 * the account that has the rights, so that who watches either hears of it.
 */
import type { Kysely } from 'kysely';
import { advanceAccount } from './advance-account.ts';
import { StoreError } from './errors.ts';
import { noSuchMailbox } from './existence.ts';
import { inGroups } from './id-groups.ts';
import { lockAccount, lockMailbox } from './locks.ts';
import type { AccountId, FlagChange, MailboxId } from './mail-store.ts';
import type { Schema } from './schema.ts';
import type { WriteContext } from './write-context.ts';

/** All that there are (RFC 4314 §2.1), in the order in which they are told. */
export const RIGHTS = 'lrswipkxtea';
/** Of one mailbox: GETACL tells all of them. */
export const MAX_GRANTS = 100;

/** Each letter once, in the order of RIGHTS. */
function sortRights(letters: string): string {
  if ([...letters].some((letter) => !RIGHTS.includes(letter))) {
    throw new RangeError('there is no such right');
  }
  return [...RIGHTS].filter((right) => letters.includes(right)).join('');
}

function applyRights(before: string, change: FlagChange, given: string): string {
  switch (change) {
    case 'replace':
      return sortRights(given);
    case 'add':
      return sortRights(before + given);
    case 'remove': {
      const gone = sortRights(given);
      return [...before].filter((right) => !gone.includes(right)).join('');
    }
  }
}

/** Whether the account, which is not the owner, has any rights to the mailbox. */
export async function isShared(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  accountId: AccountId,
): Promise<boolean> {
  return (await readRights(db, mailboxId, accountId)) !== '';
}

async function readRights(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  accountId: AccountId,
): Promise<string> {
  const row = await db
    .selectFrom('mailbox_rights')
    .select('rights')
    .where('mailbox_id', '=', mailboxId)
    .where('account_id', '=', accountId)
    .executeTakeFirst();
  return row?.rights ?? '';
}

export interface RightsChange {
  readonly mailboxId: MailboxId;
  readonly accountId: AccountId;
  readonly change: FlagChange;
  readonly rights: string;
}

export async function changeRights(context: WriteContext, args: RightsChange): Promise<void> {
  const { db, touch } = context;
  const { mailboxId, accountId, change } = args;
  await lockAccount(context, accountId);
  const mailbox = await lockMailbox(context, mailboxId);
  if (mailbox.account_id === accountId) {
    if (applyRights(RIGHTS, change, args.rights) === RIGHTS) return;
    throw new StoreError('rights-of-owner', 'the owner of a mailbox has all rights to it');
  }
  const before = await readRights(db, mailboxId, accountId);
  const rights = applyRights(before, change, args.rights);
  if (rights === before) return;
  if (rights === '') await removeGrant(context, args);
  else {
    if (before === '') await requireRoomForGrant(context, mailboxId);
    await db
      .insertInto('mailbox_rights')
      .values({ mailbox_id: mailboxId, account_id: accountId, rights })
      .onConflict((conflict) =>
        conflict.columns(['mailbox_id', 'account_id']).doUpdateSet({ rights }),
      )
      .execute();
  }
  const { highest_modseq } = await db
    .updateTable('mailboxes')
    .set((eb) => ({ highest_modseq: eb('highest_modseq', '+', 1) }))
    .where('id', '=', mailboxId)
    .returning('highest_modseq')
    .executeTakeFirstOrThrow(noSuchMailbox);
  touch(mailboxId, highest_modseq);
  // who follows an account hears of what it is given
  await advanceAccount(context, accountId);
}

export async function removeGrant(
  { db }: WriteContext,
  { mailboxId, accountId }: Pick<RightsChange, 'mailboxId' | 'accountId'>,
): Promise<void> {
  await db
    .deleteFrom('mailbox_rights')
    .where('mailbox_id', '=', mailboxId)
    .where('account_id', '=', accountId)
    .execute();
}

async function requireRoomForGrant({ db }: WriteContext, mailboxId: MailboxId): Promise<void> {
  const { count } = await db
    .selectFrom('mailbox_rights')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('mailbox_id', '=', mailboxId)
    .executeTakeFirstOrThrow();
  if (Number(count) >= MAX_GRANTS) {
    throw new StoreError('too-many-rights', `a mailbox is shared with ${MAX_GRANTS} at most`);
  }
}

/** A mailbox begins with the rights of the one above it (RFC 4314 §4: CREATE). */
export async function inheritRights(
  { db }: WriteContext,
  { from, to }: { from: MailboxId; to: MailboxId },
): Promise<void> {
  await db
    .insertInto('mailbox_rights')
    .columns(['mailbox_id', 'account_id', 'rights'])
    .expression((eb) =>
      eb
        .selectFrom('mailbox_rights')
        .select([eb.val(to).as('mailbox_id'), 'account_id', 'rights'])
        .where('mailbox_id', '=', from),
    )
    .execute();
}

/** Of mailboxes that go: nobody has them any more (RFC 4314 §4: DELETE). */
export async function removeRightsTo(
  { db }: WriteContext,
  ids: readonly MailboxId[],
): Promise<void> {
  for (const group of inGroups(ids)) {
    await db.deleteFrom('mailbox_rights').where('mailbox_id', 'in', group).execute();
  }
}
