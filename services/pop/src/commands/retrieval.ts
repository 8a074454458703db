/** RETR and TOP (RFC 1939 §5, §7): messages go out a piece at a time, however large they are. */
import { StoreError } from '@mail/store';
import { ReplyError } from '../errors.ts';
import type { DropMessage, Maildrop } from '../maildrop.ts';
import { TopCutter } from '../multiline.ts';
import { type Command, numberOf, wordsOf } from './command.ts';

/**
 * The message's pieces. The first is read before this resolves, so that a message that another session
 * has expunged is refused, not broken off.
 */
async function open(maildrop: Maildrop, message: DropMessage): Promise<AsyncGenerator<Buffer>> {
  const pieces = maildrop.read(message);
  const first = await pieces.next().catch((cause) => {
    if (!(cause instanceof StoreError) || cause.code !== 'no-such-message') throw cause;
    throw new ReplyError(undefined, 'That message is gone', { cause });
  });
  async function* whole() {
    if (first.done) return;
    yield first.value;
    yield* pieces;
  }
  return whole();
}

async function* cut(pieces: AsyncGenerator<Buffer>, lines: number): AsyncGenerator<Buffer> {
  const cutter = new TopCutter(lines);
  for await (const piece of pieces) {
    yield cutter.cut(piece);
    if (cutter.done) return;
  }
}

export const retr: Command = {
  states: ['transaction'],
  async handle({ maildrop, context }, argument) {
    const [word] = wordsOf(argument, 1, 1);
    const message = maildrop.message(numberOf(word));
    const lines = await open(maildrop, message);
    context.countRead('retr');
    return { text: `${message.size} octets`, lines };
  },
};

export const top: Command = {
  states: ['transaction'],
  async handle({ maildrop, context }, argument) {
    const [word, lines] = wordsOf(argument, 2, 2);
    const message = maildrop.message(numberOf(word));
    const count = numberOf(lines);
    const pieces = await open(maildrop, message);
    context.countRead('top');
    return { text: 'Top of message follows', lines: cut(pieces, count) };
  },
};
