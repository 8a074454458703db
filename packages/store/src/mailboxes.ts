/** Mailboxes: their names, their numbers and their subscriptions. */
import type { Kysely } from 'kysely';
import { advanceAccount } from './advance-account.ts';
import { copyAnnotations } from './annotations.ts';
import { StoreError } from './errors.ts';
import { noSuchMailbox, requireAccount, requireMailbox } from './existence.ts';
import { inGroups } from './id-groups.ts';
import { lockAccount, lockMailbox, lockMailboxes } from './locks.ts';
import type {
  AccountId,
  Mailbox,
  MailboxId,
  MailboxOverview,
  MailboxStatus,
  ModSeq,
} from './mail-store.ts';
import {
  compareNames,
  INBOX,
  isInferior,
  parseMailboxName,
  requireMailboxName,
  superiorsOf,
} from './mailbox-names.ts';
import { moveMessages } from './messages.ts';
import { inheritRights, removeRightsTo } from './rights.ts';
import type { MailboxRow, Schema } from './schema.ts';
import { SPECIAL_USES } from './special-uses.ts';
import type { WriteContext } from './write-context.ts';

/** Of an account: LIST and its like look at all of them. */
export const MAX_MAILBOXES = 10_000;
export const MAX_SUBSCRIPTIONS = 10_000;

function mailboxExists(name: string): StoreError {
  return new StoreError('mailbox-exists', `there is a mailbox ${JSON.stringify(name)} already`);
}

/** Those that there are, whoever's. */
export function selectMailboxes(db: Kysely<Schema>) {
  return db
    .selectFrom('mailboxes')
    .leftJoin('subscriptions', (join) =>
      join
        .onRef('subscriptions.account_id', '=', 'mailboxes.account_id')
        .onRef('subscriptions.name', '=', 'mailboxes.name'),
    )
    .select([
      'mailboxes.id',
      'mailboxes.name',
      'mailboxes.object_id',
      'mailboxes.uid_validity',
      'mailboxes.special_use',
      'subscriptions.name as subscription',
    ])
    .where('mailboxes.name', 'is not', null)
    .$narrowType<{ name: string }>();
}

function selectOwn(db: Kysely<Schema>, accountId: AccountId) {
  return selectMailboxes(db).where('mailboxes.account_id', '=', accountId);
}

type SelectedMailbox = Pick<MailboxRow, 'id' | 'object_id' | 'uid_validity' | 'special_use'> & {
  name: string;
  subscription: string | null;
};

function toMailbox(accountId: AccountId, row: SelectedMailbox): Mailbox {
  return {
    id: row.id,
    accountId,
    name: row.name,
    objectId: row.object_id,
    uidValidity: row.uid_validity,
    subscribed: row.subscription !== null,
    specialUse: row.special_use ?? undefined,
  };
}

export async function listMailboxes(db: Kysely<Schema>, accountId: AccountId): Promise<Mailbox[]> {
  const rows = await selectOwn(db, accountId).execute();
  // every account has an INBOX
  if (rows.length === 0) await requireAccount(db, accountId);
  return rows.map((row) => toMailbox(accountId, row)).sort((a, b) => compareNames(a.name, b.name));
}

export async function findMailbox(
  db: Kysely<Schema>,
  accountId: AccountId,
  text: string,
): Promise<Mailbox | undefined> {
  const name = parseMailboxName(text);
  if (name === undefined) return undefined;
  const row = await selectOwn(db, accountId).where('mailboxes.name', '=', name).executeTakeFirst();
  return row && toMailbox(accountId, row);
}

type StatusRow = Pick<
  MailboxRow,
  'messages' | 'unseen' | 'deleted' | 'uid_next' | 'uid_validity' | 'highest_modseq' | 'size'
>;

/** Beyond what a mailbox is. */
export const STATUS_COLUMNS = [
  'mailboxes.messages',
  'mailboxes.unseen',
  'mailboxes.deleted',
  'mailboxes.uid_next',
  'mailboxes.highest_modseq',
  'mailboxes.size',
] as const;

export function toOverview(
  accountId: AccountId,
  row: SelectedMailbox & StatusRow,
): MailboxOverview {
  return { ...toMailbox(accountId, row), status: toStatus(row) };
}

function toStatus(row: StatusRow): MailboxStatus {
  return {
    messages: row.messages,
    unseen: row.unseen,
    deleted: row.deleted,
    uidNext: row.uid_next,
    uidValidity: row.uid_validity,
    highestModSeq: row.highest_modseq,
    size: row.size,
  };
}

export async function readStatus(db: Kysely<Schema>, id: MailboxId): Promise<MailboxStatus> {
  return toStatus(await requireMailbox(db, id));
}

/** In order of name, INBOX first. */
export async function listOverviews(
  db: Kysely<Schema>,
  accountId: AccountId,
): Promise<MailboxOverview[]> {
  const rows = await selectOwn(db, accountId).select(STATUS_COLUMNS).execute();
  return rows.map((row) => toOverview(accountId, row)).sort((a, b) => compareNames(a.name, b.name));
}

export async function listSubscriptions(
  db: Kysely<Schema>,
  accountId: AccountId,
): Promise<string[]> {
  const rows = await db
    .selectFrom('subscriptions')
    .select('name')
    .where('account_id', '=', accountId)
    .execute();
  if (rows.length === 0) await requireAccount(db, accountId);
  return rows.map(({ name }) => name).sort(compareNames);
}

/**
 * A number that no mailbox had before, and greater than all of them, so that a name never gets an older
 * one back (RFC 9051 §2.3.1.1). It follows the clock, so that it also grows over a database made anew.
 */
async function nextUidValidity({ db, now }: WriteContext): Promise<number> {
  const seconds = Math.floor(now.getTime() / 1000);
  const { value } = await db
    .updateTable('counters')
    .set((eb) => ({
      value: eb
        .case()
        .when('value', '<', seconds)
        .then(seconds)
        .else(eb('value', '+', 1))
        .end(),
    }))
    .where('name', '=', 'uid_validity')
    .returning('value')
    .executeTakeFirstOrThrow();
  return value;
}

/** `name` is in its stored spelling and free. */
export async function insertMailbox(
  context: WriteContext,
  accountId: AccountId,
  name: string,
  specialUse: string | undefined,
): Promise<MailboxId> {
  const { id } = await context.db
    .insertInto('mailboxes')
    .values({
      account_id: accountId,
      object_id: `F${context.randomId()}`,
      name,
      special_use: specialUse ?? null,
      uid_validity: await nextUidValidity(context),
      uid_next: 1,
      highest_modseq: 1,
      messages: 0,
      unseen: 0,
      deleted: 0,
      size: 0,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

/** The same, below another or none, unless the account, which is locked, has all that it can have. */
async function addMailbox(
  context: WriteContext,
  accountId: AccountId,
  name: string,
  specialUse: string | undefined,
  above: MailboxId | undefined,
): Promise<MailboxId> {
  const { existing } = await context.db
    .selectFrom('mailboxes')
    .select((eb) => eb.fn.countAll<number>().as('existing'))
    .where('account_id', '=', accountId)
    .where('name', 'is not', null)
    .executeTakeFirstOrThrow();
  if (existing >= MAX_MAILBOXES) {
    throw new StoreError('too-many-mailboxes', `an account has at most ${MAX_MAILBOXES} mailboxes`);
  }
  const id = await insertMailbox(context, accountId, name, specialUse);
  if (above !== undefined) await inheritRights(context, { from: above, to: id });
  return id;
}

export async function createMailbox(
  context: WriteContext,
  args: { accountId: AccountId; name: string; specialUse: string | undefined },
): Promise<Mailbox> {
  const { db } = context;
  const { accountId, specialUse } = args;
  const name = requireMailboxName(args.name.replace(/\/$/, ''));
  if (specialUse !== undefined && !SPECIAL_USES.includes(specialUse)) {
    throw new StoreError('bad-mailbox-name', 'no mailbox can be made for that special use');
  }
  await lockAccount(context, accountId);
  if ((await findMailbox(db, accountId, name)) !== undefined) throw mailboxExists(name);
  const superior = await createSuperiors(context, accountId, name);
  await addMailbox(context, accountId, name, specialUse, superior);
  await advanceAccount(context, accountId);
  const created = await findMailbox(db, accountId, name);
  if (created === undefined) throw noSuchMailbox();
  return created;
}

/** Returns the mailbox right above; undefined for a name of the first level. */
async function createSuperiors(
  context: WriteContext,
  accountId: AccountId,
  name: string,
): Promise<MailboxId | undefined> {
  let above: MailboxId | undefined;
  for (const superior of superiorsOf(name)) {
    const present = await findMailbox(context.db, accountId, superior);
    above = present?.id ?? (await addMailbox(context, accountId, superior, undefined, above));
  }
  return above;
}

/** Takes the mailbox out of sight at once; its messages are left to sweeps (sweep.ts). */
export async function deleteMailbox(context: WriteContext, args: { id: MailboxId }): Promise<void> {
  const { db, touch } = context;
  const { account_id: accountId } = await requireMailbox(db, args.id);
  await lockAccount(context, accountId);
  const { name, highest_modseq } = await lockMailbox(context, args.id);
  if (name === INBOX) {
    throw new StoreError('mailbox-not-deletable', 'INBOX cannot be deleted');
  }
  await db
    .updateTable('mailboxes')
    .set({ name: null, highest_modseq: highest_modseq + 1 })
    .where('id', '=', args.id)
    .execute();
  await removeRightsTo(context, [args.id]);
  touch(args.id, highest_modseq + 1);
  await advanceAccount(context, accountId);
}

export async function renameMailbox(
  context: WriteContext,
  args: { accountId: AccountId; from: string; to: string },
): Promise<void> {
  const { db } = context;
  const { accountId } = args;
  const to = requireMailboxName(args.to.replace(/\/$/, ''));
  const from = parseMailboxName(args.from);
  if (from === undefined) throw noSuchMailbox();
  await lockAccount(context, accountId);
  const mailboxes = await listMailboxes(db, accountId);
  const names = mailboxes.map((mailbox) => mailbox.name);
  // what is only a superior can be renamed as well (RFC 3501 §6.3.5)
  const moved = names.filter((name) => name === from || isInferior(name, from));
  if (moved.length === 0) throw noSuchMailbox();
  if (names.includes(to)) throw mailboxExists(to);
  const source = mailboxes.find((mailbox) => mailbox.name === from);
  if (source?.name === INBOX) return renameInbox(context, source, to);
  if (isInferior(to, from)) {
    throw new StoreError('bad-mailbox-name', 'a mailbox cannot be moved below itself');
  }
  const ids = mailboxes.filter(({ name }) => moved.includes(name)).map(({ id }) => id);
  await lockMailboxes(context, ids);
  const staying = new Set(names.filter((name) => !moved.includes(name)));
  // superiors first, so that a name is free before an inferior's new name takes it
  for (const name of moved.sort(compareNames)) {
    const renamed = requireMailboxName(to + name.slice(from.length));
    if (staying.has(renamed)) throw mailboxExists(renamed);
    await db
      .updateTable('mailboxes')
      .set({ name: renamed })
      .where('account_id', '=', accountId)
      .where('name', '=', name)
      .execute();
  }
  await createSuperiors(context, accountId, to);
  await advanceAccount(context, accountId);
}

/** INBOX stays, empty, and so do its inferiors (RFC 9051 §6.3.6). */
async function renameInbox(context: WriteContext, inbox: Mailbox, to: string): Promise<void> {
  await lockMailbox(context, inbox.id);
  const superior = await createSuperiors(context, inbox.accountId, to);
  const target = await addMailbox(context, inbox.accountId, to, undefined, superior);
  const modSeq = await advanceAccount(context, inbox.accountId);
  await copyAnnotations(context, {
    accountId: inbox.accountId,
    from: inbox.id,
    to: target,
    modSeq,
  });
  const rows = await context.db
    .selectFrom('messages')
    .select('uid')
    .where('mailbox_id', '=', inbox.id)
    .orderBy('uid')
    .execute();
  const uids = rows.map(({ uid }) => uid);
  await moveMessages(context, { mailboxId: inbox.id, uids, target, keep: undefined });
}

export async function setSubscription(
  context: WriteContext,
  args: { accountId: AccountId; name: string; subscribed: boolean },
): Promise<void> {
  const { accountId, subscribed } = args;
  const name = requireMailboxName(args.name);
  const { db } = context;
  await lockAccount(context, accountId);
  if (await changeSubscription(db, accountId, name, subscribed)) {
    if (subscribed) await requireFewSubscriptions(db, accountId);
    await advanceAccount(context, accountId);
  }
}

/** With the one that has been added. */
async function requireFewSubscriptions(db: Kysely<Schema>, accountId: AccountId): Promise<void> {
  const { existing } = await db
    .selectFrom('subscriptions')
    .select((eb) => eb.fn.countAll<number>().as('existing'))
    .where('account_id', '=', accountId)
    .executeTakeFirstOrThrow();
  if (existing <= MAX_SUBSCRIPTIONS) return;
  throw new StoreError(
    'too-many-subscriptions',
    `an account has at most ${MAX_SUBSCRIPTIONS} subscriptions`,
  );
}

/** Whether that has changed anything. */
async function changeSubscription(
  db: Kysely<Schema>,
  accountId: AccountId,
  name: string,
  subscribed: boolean,
): Promise<boolean> {
  if (subscribed) {
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('subscriptions')
      .values({ account_id: accountId, name })
      .onConflict((conflict) => conflict.columns(['account_id', 'name']).doNothing())
      .executeTakeFirstOrThrow();
    return numInsertedOrUpdatedRows !== 0n;
  }
  const { numDeletedRows } = await db
    .deleteFrom('subscriptions')
    .where('account_id', '=', accountId)
    .where('name', '=', name)
    .executeTakeFirstOrThrow();
  return numDeletedRows !== 0n;
}

/** Of those that still exist; deleted ones count until they are swept. */
export async function readModSeqs(
  db: Kysely<Schema>,
  ids: readonly MailboxId[],
): Promise<Map<MailboxId, ModSeq>> {
  const modSeqs = new Map<MailboxId, ModSeq>();
  for (const group of inGroups(ids)) {
    const rows = await db
      .selectFrom('mailboxes')
      .select(['id', 'highest_modseq'])
      .where('id', 'in', group)
      .execute();
    for (const row of rows) modSeqs.set(row.id, row.highest_modseq);
  }
  return modSeqs;
}
