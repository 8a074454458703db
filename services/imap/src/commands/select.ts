/** SELECT, EXAMINE, CLOSE, UNSELECT (RFC 3501 §6.3.1, §6.3.2, §6.4.2; RFC 3691; RFC 7162; RFC 9586). */
import { has } from '../access/rights.ts';
import { ReplyError } from '../errors.ts';
import type { SelectArguments } from '../parser/select.ts';
import type { Completion, Session } from '../session.ts';
import { expungeDeleted } from './expunge.ts';
import { tellName } from './list.ts';
import { tellChangesSince } from './resync.ts';

async function open(
  session: Session,
  { mailbox: name, condStore, resync }: SelectArguments,
  readOnly: boolean,
): Promise<Completion> {
  const { response } = session;
  if (resync !== undefined && !session.enabled.has('QRESYNC')) {
    throw new ReplyError('BAD', undefined, 'ENABLE QRESYNC first');
  }
  if (resync?.matchesNumbers) session.requireNumbers();
  if (condStore) session.enableCondStore();
  // even a SELECT that fails leaves no mailbox selected (RFC 3501 §6.3.1)
  if (session.state.name === 'selected') {
    session.deselect();
    response.notice('CLOSED', 'The mailbox before is closed');
  }
  const mailbox = await session.findMailbox(name, has('r'));
  const { uidNext, firstUnseen } = await session.select(mailbox, readOnly);
  try {
    await tellOpened(session, name, uidNext, firstUnseen);
    if (resync !== undefined) await tellChangesSince(session, resync);
  } catch (error) {
    // one that is answered NO leaves none selected either
    session.deselect();
    throw error;
  }
  return { code: session.access, text: `${readOnly ? 'EXAMINE' : 'SELECT'} completed` };
}

/** `name` is what the client calls it. */
async function tellOpened(
  session: Session,
  name: string,
  uidNext: number,
  firstUnseen: number | undefined,
): Promise<void> {
  const {
    response,
    selected: { mailbox, view },
  } = session;
  session.tellFlagsInUse(view.flagsInUse);
  response.untagged(`${view.count} EXISTS`);
  if (!session.enabled.has('IMAP4rev2')) tellRecent(session, firstUnseen);
  response.notice(`UIDVALIDITY ${mailbox.uidValidity}`, 'UIDs are valid');
  response.notice(`UIDNEXT ${uidNext}`, 'Predicted next UID');
  response.notice(`HIGHESTMODSEQ ${view.highestModSeq}`, 'Changes are numbered');
  response.notice(`MAILBOXID (${mailbox.objectId})`, 'Its id');
  await tellName(session, mailbox.name, name);
}

/** What IMAP4rev2 has dropped (RFC 9051 appendix E); one of them is a sequence number. */
function tellRecent(
  { response, uidOnly, selected: { view } }: Session,
  firstUnseen: number | undefined,
): void {
  response.untagged('0 RECENT');
  if (uidOnly) return;
  const unseen = firstUnseen === undefined ? undefined : view.sequenceOf(firstUnseen);
  if (unseen !== undefined) response.notice(`UNSEEN ${unseen}`, 'First unseen message');
}

export function select(session: Session, parsed: SelectArguments): Promise<Completion> {
  return open(session, parsed, false);
}

export function examine(session: Session, parsed: SelectArguments): Promise<Completion> {
  return open(session, parsed, true);
}

/** Removes what is \Deleted without a word, where the user may (RFC 4314 §4). */
export async function close(session: Session): Promise<Completion> {
  if (has('e')(session.rights)) await expungeDeleted(session);
  session.deselect();
  return { text: 'CLOSE completed' };
}

export function unselect(session: Session): Completion {
  session.deselect();
  return { text: 'UNSELECT completed' };
}
