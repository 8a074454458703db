import { expect, test } from 'vitest';
import { expectedFlags } from './store.ts';

test.each([
  ['replace', ['\\Seen', 'a'], ['b'], ['b']],
  ['add', ['\\Seen', 'Work'], ['work', '\\Flagged'], ['\\Seen', 'Work', '\\Flagged']],
  ['remove', ['\\Seen', 'Work'], ['WORK', '\\Draft'], ['\\Seen']],
] as const)('%s %j %j', (change, before, flags, after) => {
  expect(expectedFlags(before, change, flags)).toEqual(after);
});
