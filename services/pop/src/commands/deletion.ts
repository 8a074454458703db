/** DELE and RSET (RFC 1939 §5): marks that QUIT acts on. */
import { type Command, numberOf, requireNoArgument, wordsOf } from './command.ts';

export const dele: Command = {
  states: ['transaction'],
  handle({ maildrop }, argument) {
    const [word] = wordsOf(argument, 1, 1);
    const message = maildrop.message(numberOf(word));
    maildrop.delete(message);
    return { text: `Message ${message.number} will be deleted` };
  },
};

export const rset: Command = {
  states: ['transaction'],
  handle({ maildrop }, argument) {
    requireNoArgument(argument);
    maildrop.reset();
    return { text: `${maildrop.messages.length} messages` };
  },
};
