/** REPLACE and UID REPLACE (RFC 8508): a new message in the place of one, in the same mailbox or another. */
import { has } from '../access/rights.ts';
import { refuse } from '../errors.ts';
import type { ReplaceArguments } from '../parser/append.ts';
import { type Completion, completeOver, type Numbering, type Session } from '../session.ts';
import { newMessage } from './append.ts';

export async function replace(
  session: Session,
  { replaced, mailbox: name, message }: ReplaceArguments,
  numbering: Numbering,
): Promise<Completion> {
  session.requireRights('t', 'e');
  const selection = session.resolve(replaced, numbering);
  const target = await session.findMailbox(name, has('i'), 'TRYCREATE');
  const ready = newMessage(message, target.rights);
  completeOver(selection.missing, numbering, { text: '' });
  const [only] = selection.all();
  if (only === undefined) throw refuse('NONEXISTENT', 'No such message');
  const { mailbox } = session.selected;
  const { uid } = only;
  const placed = await session.store.messages.replace(mailbox.id, uid, target.id, ready);
  session.context.countStored(1);
  session.selected.stale = true;
  session.notifications.expunging = true;
  session.notifications.noteArrivals(target.id, [placed.uid]);
  // ahead of the EXPUNGE, so that a client knows what has come in its place (RFC 8508 §4.3)
  session.response.notice(`APPENDUID ${placed.uidValidity} ${placed.uid}`, 'Replaced');
  return { text: 'REPLACE completed' };
}
