/** APPEND (RFC 3501 §6.3.11), with APPENDUID (RFC 4315 §3). */
import { refuse } from '../errors.ts';
import type { AppendArguments } from '../parser/append.ts';
import type { Completion, Session } from '../session.ts';
import { Turns } from '../turns.ts';

const CR = 0x0d;
const LF = 0x0a;
/** Octets that are looked at before others have their turn. */
const TURN_OCTETS = 256 * 1024;

function isBare(message: Buffer, at: number): boolean {
  return message[at] === LF && message[at - 1] !== CR;
}

/**
 * Line ends as CRLF, which is what the store holds; the same buffer where nothing is to be done. Throws
 * ReplyError NO [TOOBIG] before it takes more than `mostOctets`.
 */
export async function withCrlf(message: Buffer, mostOctets: number): Promise<Buffer> {
  const turns = new Turns(TURN_OCTETS);
  let bare = 0;
  for (let start = 0; start < message.length; start += TURN_OCTETS) {
    const end = Math.min(start + TURN_OCTETS, message.length);
    for (let at = start; at < end; at += 1) if (isBare(message, at)) bare += 1;
    await turns.spend(end - start);
  }
  if (message.length + bare > mostOctets) throw refuse('TOOBIG', 'Message too large');
  if (bare === 0) return message;

  const whole = Buffer.allocUnsafeSlow(message.length + bare);
  let to = 0;
  for (let start = 0; start < message.length; start += TURN_OCTETS) {
    const end = Math.min(start + TURN_OCTETS, message.length);
    for (let at = start; at < end; at += 1) {
      if (isBare(message, at)) {
        whole[to] = CR;
        to += 1;
      }
      whole[to] = message[at] as number;
      to += 1;
    }
    await turns.spend(end - start);
  }
  return whole;
}

export async function append(
  session: Session,
  { mailbox: name, flags, internalDate, message }: AppendArguments,
): Promise<Completion> {
  const mailbox = await session.findMailbox(name, 'TRYCREATE');
  const raw = await withCrlf(message, session.context.maxMessageOctets);
  const [appended] = await session.store.messages.append(mailbox.id, [
    { raw, flags, ...(internalDate && { internalDate }) },
  ]);
  session.context.countStored(1);
  if (session.state.name === 'selected') session.selected.stale = true;
  const text = 'APPEND completed';
  if (appended === undefined) return { text };
  return { code: `APPENDUID ${appended.uidValidity} ${appended.uid}`, text };
}
