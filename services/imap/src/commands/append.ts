/** APPEND (RFC 3501 §6.3.11), with APPENDUID (RFC 4315 §3). Its message comes ready for the store. */
import type { AppendArguments } from '../parser/append.ts';
import type { Completion, Session } from '../session.ts';

export async function append(
  session: Session,
  { mailbox: name, flags, internalDate, message }: AppendArguments,
): Promise<Completion> {
  const mailbox = await session.findMailbox(name, 'TRYCREATE');
  const [appended] = await session.store.messages.append(mailbox.id, [
    { raw: message, flags, ...(internalDate && { internalDate }) },
  ]);
  session.context.countStored(1);
  if (session.state.name === 'selected') session.selected.stale = true;
  const text = 'APPEND completed';
  if (appended === undefined) return { text };
  return { code: `APPENDUID ${appended.uidValidity} ${appended.uid}`, text };
}
