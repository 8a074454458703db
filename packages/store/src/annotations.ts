/**
 * Annotations: named values of a mailbox, or of an account itself (RFC 5464 §3). All are their account's own
 * while each mailbox has one user. A mailbox that is shared would hold "/shared/..." under its owner's account
 * and "/private/..." under that of whoever set it: the key of the table has both.
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

/** Two components or more of printable ASCII; no wildcards, no capitals: names have no case (RFC 5464 §3.2). */
const NAME = /^\/(?:private|shared)(?:\/[ -$&-)+-.0-@[-~]+)+$/;

/** A mailbox, or the account itself. */
export interface AnnotationOwner {
  readonly accountId: AccountId;
  readonly mailboxId: MailboxId | undefined;
}

/** Undefined removes. */
export type AnnotationValue = readonly [name: string, value: Uint8Array | undefined];

function selectAnnotations(db: Kysely<Schema>, { accountId, mailboxId = 0 }: AnnotationOwner) {
  return db
    .selectFrom('annotations')
    .where('account_id', '=', accountId)
    .where('mailbox_id', '=', mailboxId);
}

/** The use of a mailbox, as its annotation; undefined where it has none. Throws no-such-mailbox. */
async function readUse(
  db: Kysely<Schema>,
  { accountId, mailboxId }: AnnotationOwner,
): Promise<string | undefined> {
  if (mailboxId === undefined) {
    await requireAccount(db, accountId);
    return undefined;
  }
  const mailbox = await requireMailbox(db, mailboxId);
  if (mailbox.account_id !== accountId) throw noSuchMailbox();
  return mailbox.special_use ?? undefined;
}

export async function listAnnotations(
  db: Kysely<Schema>,
  owner: AnnotationOwner,
): Promise<AnnotationSummary[]> {
  const use = await readUse(db, owner);
  const rows = await selectAnnotations(db, owner)
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
  { owner, names }: { owner: AnnotationOwner; names: readonly string[] },
): Promise<Map<string, Uint8Array>> {
  const values = new Map<string, Uint8Array>();
  const use = await readUse(db, owner);
  if (use !== undefined && names.includes(SPECIAL_USE_ANNOTATION)) {
    values.set(SPECIAL_USE_ANNOTATION, Buffer.from(use));
  }
  for (const group of inGroups(names)) {
    const rows = await selectAnnotations(db, owner)
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
  { owner, values }: { owner: AnnotationOwner; values: readonly AnnotationValue[] },
): Promise<ModSeq> {
  const { accountId, mailboxId } = owner;
  for (const value of values) requireStorable(value);
  await lockAccount(context, accountId);
  const mailbox = mailboxId === undefined ? undefined : await lockMailbox(context, mailboxId);
  if (mailbox !== undefined && mailbox.account_id !== accountId) throw noSuchMailbox();
  const modSeq = await advanceAccount(context, accountId);
  for (const [name, value] of values) {
    if (mailbox === undefined || name !== SPECIAL_USE_ANNOTATION) {
      await setValue(context, owner, name, value, modSeq);
    } else {
      await setUse(context, mailbox, value, modSeq);
    }
  }
  await requireRoom(context, owner);
  await forgetRemoved(context, owner);
  return modSeq;
}

async function setValue(
  { db }: WriteContext,
  { accountId, mailboxId = 0 }: AnnotationOwner,
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
  mailbox: { id: MailboxId; account_id: AccountId; name: string | null },
  value: Uint8Array | undefined,
  modSeq: ModSeq,
): Promise<void> {
  const asked = value && Buffer.from(value).toString('latin1').toLowerCase();
  const use = SPECIAL_USES.find((one) => one.toLowerCase() === asked);
  if (asked !== undefined && (use === undefined || mailbox.name === INBOX)) {
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

async function requireRoom({ db }: WriteContext, owner: AnnotationOwner): Promise<void> {
  const { count } = await selectAnnotations(db, owner)
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('value', 'is not', null)
    .executeTakeFirstOrThrow();
  const { octets } = await db
    .selectFrom('annotations')
    .select(sql<number | string>`coalesce(sum(length(value)), 0)`.as('octets'))
    .where('account_id', '=', owner.accountId)
    .executeTakeFirstOrThrow();
  if (Number(count) > MAX_ANNOTATIONS || Number(octets) > MAX_ANNOTATIONS_OCTETS) {
    throw new StoreError('too-many-annotations', 'there are as many annotations as there can be');
  }
}

/** What is removed stays for who has not heard of it; of those that were removed first, not for ever. */
async function forgetRemoved({ db }: WriteContext, owner: AnnotationOwner): Promise<void> {
  const removed = await selectAnnotations(db, owner)
    .select('name')
    .where('value', 'is', null)
    .orderBy('modseq', 'desc')
    .orderBy('name')
    .execute();
  for (const group of inGroups(removed.slice(MAX_ANNOTATIONS).map(({ name }) => name))) {
    await db
      .deleteFrom('annotations')
      .where('account_id', '=', owner.accountId)
      .where('mailbox_id', '=', owner.mailboxId ?? 0)
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

/** Those of a mailbox that is swept, or of the account itself: they are few. */
export async function sweepAnnotations(
  { db }: WriteContext,
  { accountId, mailboxId = 0 }: AnnotationOwner,
): Promise<void> {
  await db
    .deleteFrom('annotations')
    .where('account_id', '=', accountId)
    .where('mailbox_id', '=', mailboxId)
    .execute();
}
