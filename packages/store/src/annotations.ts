/**
 * Annotations: named values of a mailbox, or of an account itself (RFC 5464 §3). Each lies with an account, its
 * holder: "/private/..." of a mailbox with whoever set it, "/shared/..." with the mailbox's owner, for all that
 * have it.
 */
import { type Kysely, sql } from 'kysely';
import { advanceAccount } from './advance-account.ts';
import { StoreError } from './errors.ts';
import { noSuchMailbox, requireAccount, requireMailbox } from './existence.ts';
import { inGroups } from './id-groups.ts';
import { lockAccount, lockMailbox } from './locks.ts';
import type {
  AccountId,
  AnnotationChange,
  AnnotationSummary,
  MailboxId,
  ModSeq,
} from './mail-store.ts';
import { INBOX } from './mailbox-names.ts';
import { isShared } from './rights.ts';
import type { Schema } from './schema.ts';
import { SPECIAL_USES } from './special-uses.ts';
import type { WriteContext } from './write-context.ts';

/** Octets of one value. */
export const MAX_ANNOTATION_OCTETS = 32 * 1024;
/** Of one mailbox, or of the account itself. */
export const MAX_ANNOTATIONS = 100;
/** Octets of all values of an account. */
export const MAX_ANNOTATIONS_OCTETS = 16 * 1024 * 1024;
export const MAX_ANNOTATION_NAME_OCTETS = 512;
/** A mailbox's use, which is kept where LIST finds it (RFC 6154 §4). */
export const SPECIAL_USE_ANNOTATION = '/private/specialuse';

/** What those begin with that are each account's own. */
const PRIVATE = '/private/';

/** Two components or more of printable ASCII; no wildcards, no capitals: names have no case (RFC 5464 §3.2). */
const NAME = /^\/(?:private|shared)(?:\/[ -$&-)+-.0-@[-~]+)+$/;

/** A mailbox as an account has it, or the account itself. */
export interface Annotated {
  readonly accountId: AccountId;
  readonly mailboxId: MailboxId | undefined;
}

/** Undefined removes. */
export type AnnotationValue = readonly [name: string, value: Uint8Array | undefined];

function selectHeld(db: Kysely<Schema>, { accountId, mailboxId = 0 }: Annotated) {
  return db
    .selectFrom('annotations')
    .where('account_id', '=', accountId)
    .where('mailbox_id', '=', mailboxId);
}

/** What is annotated, as it is there. */
interface Found extends Annotated {
  readonly ownerId: AccountId;
  /** A mailbox's, told to its owner; undefined where there is none. */
  readonly use: string | undefined;
}

/** Throws no-such-mailbox, no-such-account. */
async function findAnnotated(db: Kysely<Schema>, annotated: Annotated): Promise<Found> {
  const { accountId, mailboxId } = annotated;
  if (mailboxId === undefined) {
    await requireAccount(db, accountId);
    return { ...annotated, ownerId: accountId, use: undefined };
  }
  const { account_id: ownerId, special_use } = await requireMailbox(db, mailboxId);
  if (ownerId === accountId) return { ...annotated, ownerId, use: special_use ?? undefined };
  if (!(await isShared(db, mailboxId, accountId))) throw noSuchMailbox();
  return { ...annotated, ownerId, use: undefined };
}

/** Its own, and those that it has with others. */
function selectAnnotations(db: Kysely<Schema>, { ownerId, ...annotated }: Found) {
  const { accountId, mailboxId = 0 } = annotated;
  if (ownerId === accountId) return selectHeld(db, annotated);
  return db
    .selectFrom('annotations')
    .where('mailbox_id', '=', mailboxId)
    .where(({ eb, and, or }) =>
      or([
        and([eb('account_id', '=', accountId), eb('name', 'like', `${PRIVATE}%`)]),
        and([eb('account_id', '=', ownerId), eb('name', 'not like', `${PRIVATE}%`)]),
      ]),
    );
}

export async function listAnnotations(
  db: Kysely<Schema>,
  annotated: Annotated,
): Promise<AnnotationSummary[]> {
  const found = await findAnnotated(db, annotated);
  const { use } = found;
  const rows = await selectAnnotations(db, found)
    .select(['name', sql<number>`length(value)`.as('size')])
    .where('value', 'is not', null)
    .orderBy('name')
    .execute();
  if (use === undefined) return rows;
  const all = [...rows, { name: SPECIAL_USE_ANNOTATION, size: use.length }];
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

export async function readAnnotations(
  db: Kysely<Schema>,
  { annotated, names }: { annotated: Annotated; names: readonly string[] },
): Promise<Map<string, Uint8Array>> {
  const values = new Map<string, Uint8Array>();
  const found = await findAnnotated(db, annotated);
  const { use } = found;
  if (use !== undefined && names.includes(SPECIAL_USE_ANNOTATION)) {
    values.set(SPECIAL_USE_ANNOTATION, Buffer.from(use));
  }
  for (const group of inGroups(names)) {
    const rows = await selectAnnotations(db, found)
      .select(['name', 'value'])
      .where('name', 'in', group)
      .execute();
    for (const { name, value } of rows) if (value !== null) values.set(name, value);
  }
  return values;
}

/** Those that were set or removed after `modSeq`, in that order. */
export async function readAnnotationChanges(
  db: Kysely<Schema>,
  accountId: AccountId,
  modSeq: ModSeq,
): Promise<AnnotationChange[]> {
  const rows = await db
    .selectFrom('annotations')
    .select(['mailbox_id', 'name', 'modseq'])
    .where('account_id', '=', accountId)
    .where('modseq', '>', modSeq)
    .orderBy('modseq')
    .orderBy('name')
    .execute();
  return rows.map((row) => ({
    mailboxId: row.mailbox_id === 0 ? undefined : row.mailbox_id,
    name: row.name,
    modSeq: row.modseq,
  }));
}

function requireStorable([name, value]: AnnotationValue): void {
  if (!NAME.test(name) || name.length > MAX_ANNOTATION_NAME_OCTETS) {
    throw new StoreError('bad-annotation', 'no annotation can have that name');
  }
  if (value !== undefined && value.length > MAX_ANNOTATION_OCTETS) {
    throw new StoreError(
      'annotation-too-large',
      `a value has ${MAX_ANNOTATION_OCTETS} octets at most`,
    );
  }
}

export async function setAnnotations(
  context: WriteContext,
  { annotated, values }: { annotated: Annotated; values: readonly AnnotationValue[] },
): Promise<ModSeq> {
  const { accountId, mailboxId } = annotated;
  for (const value of values) requireStorable(value);
  const { ownerId } = await findAnnotated(context.db, annotated);
  const holderOf = (name: string): AccountId => (name.startsWith(PRIVATE) ? accountId : ownerId);
  const holders = new Set([accountId, ...values.map(([name]) => holderOf(name))]);
  const modSeqs = new Map<AccountId, ModSeq>();
  for (const holder of [...holders].sort((a, b) => a - b)) {
    await lockAccount(context, holder);
    modSeqs.set(holder, await advanceAccount(context, holder));
  }
  const mailbox = mailboxId === undefined ? undefined : await lockMailbox(context, mailboxId);
  for (const [name, value] of values) {
    const holder = { accountId: holderOf(name), mailboxId };
    const modSeq = modSeqs.get(holder.accountId) ?? 0;
    if (mailbox !== undefined && name === SPECIAL_USE_ANNOTATION) {
      await setUse(context, { ...mailbox, isOwn: ownerId === accountId }, value, modSeq);
    } else await setValue(context, holder, name, value, modSeq);
  }
  for (const holder of holders) {
    await requireRoom(context, { accountId: holder, mailboxId });
    await forgetRemoved(context, { accountId: holder, mailboxId });
  }
  return modSeqs.get(accountId) ?? 0;
}

async function setValue(
  { db }: WriteContext,
  { accountId, mailboxId = 0 }: Annotated,
  name: string,
  value: Uint8Array | undefined,
  modSeq: ModSeq,
): Promise<void> {
  if (value === undefined) {
    await db
      .updateTable('annotations')
      .set({ value: null, modseq: modSeq })
      .where('account_id', '=', accountId)
      .where('mailbox_id', '=', mailboxId)
      .where('name', '=', name)
      .where('value', 'is not', null)
      .execute();
    return;
  }
  await db
    .insertInto('annotations')
    .values({ account_id: accountId, mailbox_id: mailboxId, name, value, modseq: modSeq })
    .onConflict((conflict) =>
      conflict.columns(['account_id', 'mailbox_id', 'name']).doUpdateSet({ value, modseq: modSeq }),
    )
    .execute();
}

/** The row says when it changed, and holds no value. */
async function setUse(
  { db }: WriteContext,
  mailbox: { id: MailboxId; account_id: AccountId; name: string | null; isOwn: boolean },
  value: Uint8Array | undefined,
  modSeq: ModSeq,
): Promise<void> {
  const asked = value && Buffer.from(value).toString('latin1').toLowerCase();
  const use = SPECIAL_USES.find((one) => one.toLowerCase() === asked);
  if (!mailbox.isOwn || (asked !== undefined && (use === undefined || mailbox.name === INBOX))) {
    throw new StoreError('bad-special-use', 'no mailbox can have that use, and INBOX none');
  }
  await db
    .updateTable('mailboxes')
    .set({ special_use: use ?? null })
    .where('id', '=', mailbox.id)
    .execute();
  await db
    .insertInto('annotations')
    .values({
      account_id: mailbox.account_id,
      mailbox_id: mailbox.id,
      name: SPECIAL_USE_ANNOTATION,
      value: null,
      modseq: modSeq,
    })
    .onConflict((conflict) =>
      conflict.columns(['account_id', 'mailbox_id', 'name']).doUpdateSet({ modseq: modSeq }),
    )
    .execute();
}

async function requireRoom({ db }: WriteContext, holder: Annotated): Promise<void> {
  const { count } = await selectHeld(db, holder)
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('value', 'is not', null)
    .executeTakeFirstOrThrow();
  const { octets } = await db
    .selectFrom('annotations')
    .select(sql<number | string>`coalesce(sum(length(value)), 0)`.as('octets'))
    .where('account_id', '=', holder.accountId)
    .executeTakeFirstOrThrow();
  if (Number(count) > MAX_ANNOTATIONS || Number(octets) > MAX_ANNOTATIONS_OCTETS) {
    throw new StoreError('too-many-annotations', 'there are as many annotations as there can be');
  }
}

/** What is removed stays for who has not heard of it; of those that were removed first, not for ever. */
async function forgetRemoved({ db }: WriteContext, holder: Annotated): Promise<void> {
  const removed = await selectHeld(db, holder)
    .select('name')
    .where('value', 'is', null)
    .orderBy('modseq', 'desc')
    .orderBy('name')
    .execute();
  for (const group of inGroups(removed.slice(MAX_ANNOTATIONS).map(({ name }) => name))) {
    await db
      .deleteFrom('annotations')
      .where('account_id', '=', holder.accountId)
      .where('mailbox_id', '=', holder.mailboxId ?? 0)
      .where('name', 'in', group)
      .execute();
  }
}

/** Of INBOX to what it is renamed to: it keeps its own (RFC 5464 §4.1). */
export async function copyAnnotations(
  { db }: WriteContext,
  {
    accountId,
    from,
    to,
    modSeq,
  }: { accountId: AccountId; from: MailboxId; to: MailboxId; modSeq: ModSeq },
): Promise<void> {
  await db
    .insertInto('annotations')
    .columns(['account_id', 'mailbox_id', 'name', 'value', 'modseq'])
    .expression((eb) =>
      eb
        .selectFrom('annotations')
        .select([
          'account_id',
          eb.val(to).as('mailbox_id'),
          'name',
          'value',
          eb.val(modSeq).as('modseq'),
        ])
        .where('account_id', '=', accountId)
        .where('mailbox_id', '=', from)
        .where('value', 'is not', null),
    )
    .execute();
}

/** Everybody's of a mailbox that is swept: they are few. */
export async function sweepAnnotationsOf(
  { db }: WriteContext,
  mailboxId: MailboxId,
): Promise<void> {
  await db.deleteFrom('annotations').where('mailbox_id', '=', mailboxId).execute();
}

/** All that an account held that is swept, of mailboxes of others too. */
export async function sweepAnnotationsBy(
  { db }: WriteContext,
  accountId: AccountId,
): Promise<void> {
  await db.deleteFrom('annotations').where('account_id', '=', accountId).execute();
}
