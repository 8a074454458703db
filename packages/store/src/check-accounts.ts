/** Accounts and what hangs on them: their domains, subscriptions, annotations, rights, the INBOX that mail is delivered to, the UIDVALIDITY counter. */
import type { Kysely } from 'kysely';
import type { CheckCourse } from './check-course.ts';
import { inPages } from './check-course.ts';
import { INBOX } from './mailbox-names.ts';
import type { Schema } from './schema.ts';

const PAGE = 500;

export async function checkAccounts(course: CheckCourse): Promise<void> {
  await checkDomains(course);
  await checkSubscriptions(course);
  await checkAnnotations(course);
  await checkRights(course);
  await checkInboxes(course);
  await checkUidValidity(course);
}

/** An account makes its domain, and a domain with accounts stays. */
async function checkDomains(course: CheckCourse): Promise<void> {
  const missing = await course.look('domains', (db) => selectMissingDomains(db).execute());
  for (const { domain } of missing ?? []) {
    await course.settle(`domain ${domain}`, async (db) => {
      const still = await selectMissingDomains(db)
        .where('accounts.domain', '=', domain)
        .executeTakeFirst();
      if (still === undefined) return undefined;
      return {
        faults: [
          {
            code: 'domain-missing',
            where: `domain ${domain}`,
            what: 'has accounts, and is not among the domains',
          },
        ],
        repair: { kind: 'domain', name: domain },
      };
    });
  }
}

function selectMissingDomains(db: Kysely<Schema>) {
  return db
    .selectFrom('accounts')
    .leftJoin('domains', 'domains.name', 'accounts.domain')
    .select('accounts.domain')
    .distinct()
    .where('accounts.address_key', 'is not', null)
    .where('domains.name', 'is', null)
    .limit(PAGE);
}

/** Removing an account removes them in the same transaction. */
async function checkSubscriptions(course: CheckCourse): Promise<void> {
  const owners = await course.look('subscriptions', (db) =>
    db
      .selectFrom('subscriptions')
      .leftJoin('accounts', 'accounts.id', 'subscriptions.account_id')
      .select((eb) => ['subscriptions.account_id as id', eb.fn.countAll<number>().as('count')])
      .where('accounts.address_key', 'is', null)
      .groupBy('subscriptions.account_id')
      .limit(PAGE)
      .execute(),
  );
  for (const { id, count } of owners ?? []) {
    await course.settle(`subscriptions of account ${id}`, async (db) => {
      const account = await db
        .selectFrom('accounts')
        .select('id')
        .where('id', '=', id)
        .where('address_key', 'is not', null)
        .executeTakeFirst();
      if (account !== undefined) return undefined;
      return {
        faults: [
          {
            code: 'subscription-of-nobody',
            where: `account ${id}`,
            what: `${count} subscriptions, and no such account`,
          },
        ],
        repair: { kind: 'subscriptions', accountId: id },
      };
    });
  }
}

/** They go with their mailbox, in the transaction that sweeps it. */
async function checkAnnotations(course: CheckCourse): Promise<void> {
  const owners = await course.look('annotations', (db) =>
    db
      .selectFrom('annotations')
      .leftJoin('mailboxes', 'mailboxes.id', 'annotations.mailbox_id')
      .select((eb) => ['annotations.mailbox_id as mailboxId', eb.fn.countAll<number>().as('count')])
      .where('annotations.mailbox_id', '<>', 0)
      .where('mailboxes.id', 'is', null)
      .groupBy('annotations.mailbox_id')
      .limit(PAGE)
      .execute(),
  );
  for (const { mailboxId, count } of owners ?? []) {
    const where = `mailbox ${mailboxId}`;
    await course.settle(`annotations of ${where}`, async () => ({
      faults: [
        { code: 'annotation-of-nothing', where, what: `${count} annotations, and no such mailbox` },
      ],
      repair: { kind: 'annotations', mailboxId },
    }));
  }
}

/** They go in the transaction that deletes the mailbox, or removes the account. */
async function checkRights(course: CheckCourse): Promise<void> {
  const grants = await course.look('rights', (db) =>
    db
      .selectFrom('mailbox_rights')
      .leftJoin('mailboxes', 'mailboxes.id', 'mailbox_rights.mailbox_id')
      .leftJoin('accounts', 'accounts.id', 'mailbox_rights.account_id')
      .select(['mailbox_rights.mailbox_id as mailboxId', 'mailbox_rights.account_id as accountId'])
      .where(({ eb, or }) =>
        or([eb('mailboxes.name', 'is', null), eb('accounts.address_key', 'is', null)]),
      )
      .limit(PAGE)
      .execute(),
  );
  for (const { mailboxId, accountId } of grants ?? []) {
    const where = `mailbox ${mailboxId}`;
    await course.settle(`rights to ${where}`, async () => ({
      faults: [
        {
          code: 'rights-of-nothing',
          where,
          what: `account ${accountId} has rights, and one of them is gone`,
        },
      ],
      repair: { kind: 'rights', mailboxId, accountId },
    }));
  }
}

async function checkInboxes(course: CheckCourse): Promise<void> {
  let done = 0;
  await inPages(async (after) => {
    const accounts = await course.look('accounts', (db) =>
      db
        .selectFrom('accounts')
        .leftJoin('mailboxes', (join) =>
          join.onRef('mailboxes.account_id', '=', 'accounts.id').on('mailboxes.name', '=', INBOX),
        )
        .select(['accounts.id', 'accounts.address', 'mailboxes.id as inbox'])
        .where('accounts.address_key', 'is not', null)
        .where('accounts.id', '>', after)
        .orderBy('accounts.id')
        .limit(PAGE)
        .execute(),
    );
    for (const { id, address, inbox } of accounts ?? []) {
      if (inbox === null) await settleInbox(course, id, address);
    }
    done += accounts?.length ?? 0;
    course.progress('accounts', done, done);
    return accounts?.at(-1)?.id;
  });
}

async function settleInbox(course: CheckCourse, id: number, address: string): Promise<void> {
  await course.settle(`account ${address}`, async (db) => {
    const account = await db
      .selectFrom('accounts')
      .leftJoin('mailboxes', (join) =>
        join.onRef('mailboxes.account_id', '=', 'accounts.id').on('mailboxes.name', '=', INBOX),
      )
      .select('mailboxes.id as inbox')
      .where('accounts.id', '=', id)
      .where('accounts.address_key', 'is not', null)
      .executeTakeFirst();
    // removed meanwhile, or it has one by now
    if (account === undefined || account.inbox !== null) return undefined;
    return {
      faults: [
        {
          code: 'inbox-missing',
          where: `account ${address}`,
          what: 'has no INBOX, so no mail can be delivered',
        },
      ],
      repair: { kind: 'inbox', accountId: id },
    };
  });
}

async function checkUidValidity(course: CheckCourse): Promise<void> {
  await course.settle('the counter of UIDVALIDITY', async (db) => {
    const { used } = await db
      .selectFrom('mailboxes')
      .select((eb) => eb.fn.coalesce(eb.fn.max('uid_validity'), eb.lit(0)).as('used'))
      .executeTakeFirstOrThrow();
    const counter = await db
      .selectFrom('counters')
      .select('value')
      .where('name', '=', 'uid_validity')
      .executeTakeFirst();
    if (counter !== undefined && counter.value >= used) return undefined;
    const what = `is ${counter?.value ?? 'missing'}, and a mailbox has ${used}`;
    return {
      faults: [{ code: 'uid-validity-behind', where: 'the counter of UIDVALIDITY', what }],
      repair: counter && { kind: 'uid-validity', atLeast: used },
    };
  });
}
