/** The octets of the messages that a write brings: how many, and how they go to another thread. */
import type { NewMessage } from './mail-store.ts';
import { copyOctets, countOctets } from './octets.ts';
import type { WriteArguments, WriteName } from './writes.ts';

function isOfOneMessage(name: WriteName): name is 'deliver' | 'replace' {
  return name === 'deliver' || name === 'replace';
}

function isOfSeveral(name: WriteName): name is 'append' | 'appendOnce' {
  return name === 'append' || name === 'appendOnce';
}

function messagesOf(name: WriteName, args: WriteArguments<WriteName>): readonly NewMessage[] {
  if (isOfOneMessage(name)) return [(args as WriteArguments<'deliver' | 'replace'>).message];
  if (isOfSeveral(name)) return (args as WriteArguments<'append' | 'appendOnce'>).messages;
  return [];
}

export function countWriteOctets(name: WriteName, args: WriteArguments<WriteName>): number {
  let octets = 0;
  for (const { raw } of messagesOf(name, args)) octets += countOctets(raw);
  return octets;
}

/**
 * Gives each message octets of its own that can be handed over: a Buffer's memory may be shared with
 * others, and sending it would copy all of that.
 */
export function ownOctets(
  name: WriteName,
  args: WriteArguments<WriteName>,
): { args: WriteArguments<WriteName>; owned: ArrayBuffer[] } {
  const owned: ArrayBuffer[] = [];
  const own = (message: NewMessage): NewMessage => {
    const raw = copyOctets(message.raw);
    owned.push(raw.buffer);
    return { ...message, raw };
  };
  if (isOfOneMessage(name)) {
    const { message, ...where } = args as WriteArguments<'deliver' | 'replace'>;
    return { args: { ...where, message: own(message) } as WriteArguments<WriteName>, owned };
  }
  if (isOfSeveral(name)) {
    const { mailboxId, messages } = args as WriteArguments<'append' | 'appendOnce'>;
    return { args: { mailboxId, messages: messages.map(own) } as WriteArguments<WriteName>, owned };
  }
  return { args, owned };
}
