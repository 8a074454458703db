import { parseMessage } from '@mail/message';
import type { MessageSummary } from '@mail/store';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SORT_KEYS, type SortKey } from '../parser/sort.ts';
import { comparison, needsEnvelope, type Sortable, sortValues } from './keys.ts';

const summary: MessageSummary = {
  uid: 1,
  flags: [],
  modSeq: 1,
  size: 77,
  internalDate: new Date('2026-03-05T00:30:00Z'),
  savedAt: Date.parse('2026-03-06T23:59:59Z'),
};

const valueFor = (key: SortKey, header: string) => {
  const { envelope } = parseMessage(Buffer.from(`${header}\r\n\r\n`));
  return sortValues([{ key, reverse: false }], summary, envelope)[0];
};

test.each<[SortKey, string, string | number]>([
  ['ARRIVAL', '', Date.parse('2026-03-05T00:30:00Z')],
  ['SIZE', '', 77],
  ['DATE', 'Date: 31 Dec 2000 16:01:33 -0800', Date.parse('2001-01-01T00:01:33Z')],
  ['DATE', 'Date: some day', Date.parse('2026-03-05T00:30:00Z')],
  ['DATE', '', Date.parse('2026-03-05T00:30:00Z')],
  ['SUBJECT', 'Subject: Re: [list] =?utf-8?q?Hello?= (fwd)', 'HELLO'],
  ['SUBJECT', '', ''],
  ['FROM', 'From: Ann <bob@example.test>, carl@example.test', 'BOB'],
  ['FROM', '', ''],
  ['TO', 'To: friends: ann@example.test;', 'FRIENDS'],
  ['CC', 'Cc: "A. B"@example.test', 'A. B'],
  ['DISPLAYFROM', 'From: =?utf-8?q?Ann?= <bob@example.test>', 'ANN'],
  ['DISPLAYFROM', 'From: bob@example.test', 'BOB@EXAMPLE.TEST'],
  ['DISPLAYFROM', 'From: bob', 'BOB'],
  ['DISPLAYTO', 'To: undisclosed recipients:;', 'UNDISCLOSED RECIPIENTS'],
  ['DISPLAYTO', '', ''],
])('%s of %j', (key, header, value) => expect(valueFor(key, header)).toBe(value));

test('what is read', () => {
  const needing = SORT_KEYS.filter((key) => needsEnvelope([{ key, reverse: true }]));
  expect(SORT_KEYS.filter((key) => !needing.includes(key))).toEqual(['ARRIVAL', 'SIZE']);
});

test('the first criterion that differs decides, then the order in the mailbox', () => {
  const criteria = fc.array(
    fc.record({ key: fc.constantFrom(...SORT_KEYS), reverse: fc.boolean() }),
    { minLength: 3, maxLength: 3 },
  );
  const values = fc.tuple(fc.constantFrom('A', 'B', 'b'), fc.nat(2), fc.constantFrom('', 'A'));
  fc.assert(
    fc.property(criteria, fc.array(values, { maxLength: 20 }), (given, all) => {
      const sortables = all.map((one, index): Sortable => ({ sequence: index + 1, values: one }));
      const sorted = sortables.toSorted(comparison(given));
      for (const [index, later] of sorted.entries()) {
        const before = sorted[index - 1];
        if (before === undefined) continue;
        const at = given.findIndex((_, which) => before.values[which] !== later.values[which]);
        const inOrder =
          at === -1
            ? before.sequence < later.sequence
            : (before.values[at] ?? 0) < (later.values[at] ?? 0) !== given[at]?.reverse;
        expect(inOrder).toBe(true);
      }
    }),
  );
});
