/**
 * APPEND (RFC 3501 §6.3.11) of one message or several (RFC 3502), with APPENDUID (RFC 4315 §3). They come
 * ready for the store, which takes all of them or none.
 */
import type { NewMessage } from '@mail/store';
import { amongKinds, changeableFlags, has } from '../access/rights.ts';
import { refuse } from '../errors.ts';
import type { AppendArguments, AppendedText } from '../parser/append.ts';
import { formatSet } from '../parser/sequence-set.ts';
import type { Completion, Session } from '../session.ts';

/** With those flags that `rights` to its mailbox let it have (RFC 4314 §4). */
export function newMessage(
  { flags, internalDate, octets }: AppendedText,
  rights: string,
): NewMessage {
  const kept = amongKinds(flags, changeableFlags(rights));
  return { raw: octets, flags: kept, ...(internalDate && { internalDate }) };
}

export async function append(
  session: Session,
  { mailbox: name, messages }: AppendArguments,
): Promise<Completion> {
  // also how a client takes back what it has begun (RFC 3502 §6.3.11)
  if (messages.some(({ octets }) => octets.every(({ length }) => length === 0))) {
    throw refuse(undefined, 'An empty message: nothing is appended');
  }
  const mailbox = await session.findMailbox(name, has('i'), 'TRYCREATE');
  const ready = messages.map((message) => newMessage(message, mailbox.rights));
  const appended = await session.store.messages.append(mailbox.id, ready);
  session.context.countStored(appended.length);
  if (session.state.name === 'selected') session.selected.stale = true;
  const added = appended.map(({ uid }) => uid);
  session.notifications.noteArrivals(mailbox.id, added);
  const uids = formatSet(added);
  return { code: `APPENDUID ${mailbox.uidValidity} ${uids}`, text: 'APPEND completed' };
}
