import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Turns } from '../turns.ts';
import { threadBySubject } from './ordered-subject.ts';
import { renderThread, type Thread, type ThreadedMessage } from './thread.ts';

const message = (number: number): ThreadedMessage => {
  return { number, sequence: number, sentAt: 0, subject: '', isReply: false };
};
const at = (number: number, ...children: Thread[]): Thread => {
  return { message: message(number), children };
};

// the examples of RFC 5256 §4
test.each<[Thread, string]>([
  [at(2), '(2)'],
  [at(3, at(6, at(4, at(23)), at(44, at(7, at(96))))), '(3 6 (4 23)(44 7 96))'],
  [{ message: undefined, children: [at(3), at(5)] }, '((3)(5))'],
])('%#', (thread, written) => expect([...renderThread(thread)].join('')).toBe(written));

test('ORDEREDSUBJECT: a thread for each subject, in order of dates', async () => {
  const messages = fc.array(
    fc.record({ subject: fc.constantFrom('', 'A', 'B'), sentAt: fc.nat(5) }),
  );
  await fc.assert(
    fc.asyncProperty(messages, async (given) => {
      const all = given.map((one, index) => ({ ...message(index + 1), ...one }));
      const threads = await threadBySubject(all, new Turns(100));
      const expected = Map.groupBy(
        all.toSorted((a, b) => a.sentAt - b.sentAt),
        ({ subject }) => subject,
      );
      expect(
        threads.map(({ message: first, children }) => [
          first,
          ...children.map((one) => one.message),
        ]),
      ).toEqual([...expected.values()]);
      expect(
        threads.every((one) => one.children.every(({ children }) => children.length === 0)),
      ).toBe(true);
    }),
  );
});
