/** NOOP, and QUIT with the UPDATE state (RFC 1939 §5, §6): the only place where messages are deleted. */
import { SessionEnd } from '../errors.ts';
import { type Command, requireNoArgument } from './command.ts';

export const noop: Command = {
  states: ['transaction'],
  handle(_, argument) {
    requireNoArgument(argument);
    return { text: 'Nothing done' };
  },
};

export const quit: Command = {
  states: ['authorization', 'transaction'],
  async handle({ state }, argument) {
    requireNoArgument(argument);
    if (state.name === 'authorization') return { text: 'Goodbye', next: 'end' };
    const deleted = await state.maildrop.update().catch((cause) => {
      // RFC 1939 §6: the lock is released and the connection closed whatever comes of the deletion
      throw new SessionEnd('SYS/TEMP', 'Nothing was deleted, try again later', cause);
    });
    return {
      text: deleted === 0 ? 'Goodbye' : `Goodbye, ${deleted} messages deleted`,
      next: 'end',
    };
  },
};
