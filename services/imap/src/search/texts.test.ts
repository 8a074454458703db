import type { Messages, SoughtText, UidRange } from '@mail/store';
import { expect, test } from 'vitest';
import type { Numbered } from '../mailbox-view.ts';
import type { Session } from '../session.ts';
import { findText, stretchesOf } from './texts.ts';

const SOUGHT: SoughtText = { value: 'x', within: 'text' };

/** Messages that the client knows by these numbers; their UIDs are ten times those. */
const numbered = (...sequences: number[]): Numbered[] =>
  sequences.map((sequence) => ({ sequence, uid: sequence * 10 }));

test.each<[number[], UidRange[]]>([
  [[], []],
  [[3], [{ first: 30, last: 30 }]],
  [[1, 2, 3], [{ first: 10, last: 30 }]],
  [[1, 33], [{ first: 10, last: 330 }]],
  [
    [1, 34, 35],
    [
      { first: 10, last: 10 },
      { first: 340, last: 350 },
    ],
  ],
])('messages %j are asked of in stretches', (sequences, stretches) => {
  expect(stretchesOf(numbered(...sequences))).toEqual(stretches);
});

/** A session whose store answers for a hundred UIDs at a time, and whose client goes after some answers. */
function sessionOf(answers: number): { session: Session; asked: UidRange[] } {
  const asked: UidRange[] = [];
  const messages: Pick<Messages, 'findText'> = {
    async findText(_mailbox, sought, range) {
      expect(sought).toBe(SOUGHT);
      asked.push(range);
      return { uids: [range.first], upTo: Math.min(range.first + 99, range.last) };
    },
  };
  const session = {
    store: { messages },
    selected: { mailbox: { id: 1 } },
    connection: {
      requireClient() {
        if (asked.length === answers) throw new Error('gone');
      },
    },
  };
  return { session: session as unknown as Session, asked };
}

test('goes on to the end of each stretch', async () => {
  const { session, asked } = sessionOf(99);
  const found = await findText(session, SOUGHT, numbered(1, 21, 90));
  expect([...found]).toEqual([10, 110, 210, 900]);
  expect(asked).toEqual([
    { first: 10, last: 210 },
    { first: 110, last: 210 },
    { first: 210, last: 210 },
    { first: 900, last: 900 },
  ]);
});

test('ends with the client', async () => {
  const { session, asked } = sessionOf(2);
  await expect(findText(session, SOUGHT, numbered(1, 21, 90))).rejects.toThrow('gone');
  expect(asked).toHaveLength(2);
});
