/**
 * Frees what removed accounts, deleted mailboxes and expunged messages leave behind. Those who remove
 * only take things out of sight; a sweep then does a bounded piece of the work, so that no other write
 * waits long for it. What is expunged stays for a while for who is reading it. After a crash the next
 * process to open the store goes on.
 */
import { sweepAnnotationsBy, sweepAnnotationsOf } from './annotations.ts';
import { sweepContents } from './content.ts';
import { sweepMessages } from './messages.ts';
import type { WriteContext } from './write-context.ts';

const ROWS_PER_SWEEP = 1000;

/** Does one piece. False when there was nothing to do. */
export async function sweep(context: WriteContext): Promise<boolean> {
  return (
    (await sweepContents(context)) || (await sweepMailbox(context)) || (await sweepAccount(context))
  );
}

async function sweepMailbox(context: WriteContext): Promise<boolean> {
  const { db } = context;
  const mailbox = await db
    .selectFrom('mailboxes')
    .select('id')
    .where('name', 'is', null)
    .limit(1)
    .executeTakeFirst();
  if (mailbox === undefined) return false;
  if (await sweepMessages(context, mailbox.id, ROWS_PER_SWEEP)) return true;
  const tombstones = await db
    .selectFrom('tombstones')
    .select(['modseq'])
    .where('mailbox_id', '=', mailbox.id)
    .orderBy('modseq')
    .limit(ROWS_PER_SWEEP)
    .execute();
  const upTo = tombstones.at(-1)?.modseq;
  if (upTo === undefined) {
    await sweepAnnotationsOf(context, mailbox.id);
    await db.deleteFrom('uid_blocks').where('mailbox_id', '=', mailbox.id).execute();
    await db.deleteFrom('mailbox_keywords').where('mailbox_id', '=', mailbox.id).execute();
    await db.deleteFrom('mailboxes').where('id', '=', mailbox.id).execute();
  } else {
    await db
      .deleteFrom('tombstones')
      .where('mailbox_id', '=', mailbox.id)
      .where('modseq', '<=', upTo)
      .execute();
  }
  return true;
}

async function sweepAccount(context: WriteContext): Promise<boolean> {
  const { db } = context;
  const account = await db
    .selectFrom('accounts')
    .select('accounts.id')
    .where('address_key', 'is', null)
    // of an account that another process removes at this moment the mailboxes may still be to come
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('mailboxes')
            .select('mailboxes.id')
            .whereRef('mailboxes.account_id', '=', 'accounts.id'),
        ),
      ),
    )
    .limit(1)
    .executeTakeFirst();
  if (account === undefined) return false;
  await sweepAnnotationsBy(context, account.id);
  await db.deleteFrom('accounts').where('id', '=', account.id).execute();
  return true;
}
