/** APPEND (RFC 3501 §6.3.11), with APPENDUID (RFC 4315 §3). */
import type { AppendArguments } from '../parser/append.ts';
import type { Completion, Session } from '../session.ts';

const CR = 0x0d;
const LF = 0x0a;

/** Line ends as CRLF, which is what the store holds; the same buffer where nothing is to be done. */
export function withCrlf(message: Buffer): Buffer {
  const pieces: Buffer[] = [];
  let start = 0;
  for (let at = message.indexOf(LF); at !== -1; at = message.indexOf(LF, at + 1)) {
    if (at > 0 && message[at - 1] === CR) continue;
    pieces.push(message.subarray(start, at), Buffer.from('\r'));
    start = at;
  }
  return pieces.length === 0 ? message : Buffer.concat([...pieces, message.subarray(start)]);
}

export async function append(
  session: Session,
  { mailbox: name, flags, internalDate, message }: AppendArguments,
): Promise<Completion> {
  const mailbox = await session.findMailbox(name, 'TRYCREATE');
  const [appended] = await session.store.messages.append(mailbox.id, [
    { raw: withCrlf(message), flags, ...(internalDate && { internalDate }) },
  ]);
  session.context.countStored(1);
  if (session.state.name === 'selected') session.selected.stale = true;
  const text = 'APPEND completed';
  if (appended === undefined) return { text };
  return { code: `APPENDUID ${appended.uidValidity} ${appended.uid}`, text };
}
