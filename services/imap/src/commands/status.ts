/** STATUS (RFC 3501 §6.3.10), with SIZE and DELETED (RFC 8438, RFC 9051 §6.3.11), MAILBOXID (RFC 8474), HIGHESTMODSEQ (RFC 7162),
 * APPENDLIMIT (RFC 7889), DELETED-STORAGE (RFC 9208 §4.1.4). */
import type { Mailbox, MailboxStatus } from '@mail/store';
import { has } from '../access/rights.ts';
import type { StatusArguments, StatusItem } from '../parser/mailbox.ts';
import type { Completion, Session } from '../session.ts';

type Value = (
  status: MailboxStatus,
  mailbox: Mailbox,
  session: Session,
) => number | string | Promise<number>;

const VALUES: Record<StatusItem, Value> = {
  MESSAGES: ({ messages }) => messages,
  // no message is \Recent here: see match.ts
  RECENT: () => 0,
  UIDNEXT: ({ uidNext }) => uidNext,
  UIDVALIDITY: ({ uidValidity }) => uidValidity,
  UNSEEN: ({ unseen }) => unseen,
  DELETED: ({ deleted }) => deleted,
  'DELETED-STORAGE': ({ deleted }, { id }, { store }) =>
    deleted === 0 ? 0 : store.mailboxes.deletedSize(id),
  SIZE: ({ size }) => size,
  HIGHESTMODSEQ: ({ highestModSeq }) => highestModSeq,
  APPENDLIMIT: (_, __, { context }) => context.appendLimit,
  MAILBOXID: (_, { objectId }) => `(${objectId})`,
};

/** Throws StoreError (no-such-mailbox). */
export async function tellStatus(
  session: Session,
  mailbox: Mailbox,
  items: readonly StatusItem[],
): Promise<void> {
  if (items.includes('HIGHESTMODSEQ')) session.enableCondStore();
  const status = await session.store.mailboxes.status(mailbox.id);
  await tellStatusItems(session, mailbox, status, items);
}

/** STATUS of what is known already. */
export async function tellStatusItems(
  session: Session,
  mailbox: Mailbox,
  status: MailboxStatus,
  items: readonly StatusItem[],
): Promise<void> {
  const values: string[] = [];
  for (const item of items) values.push(`${item} ${await VALUES[item](status, mailbox, session)}`);
  const wireName = session.strings.mailbox(mailbox.name);
  session.response.untagged(`STATUS ${wireName} (${values.join(' ')})`);
}

export async function status(
  session: Session,
  { mailbox: name, items }: StatusArguments,
): Promise<Completion> {
  const mailbox = await session.findMailbox(name, has('r'));
  await tellStatus(session, mailbox, items);
  return { text: 'STATUS completed' };
}
