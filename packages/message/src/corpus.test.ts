import { describe, expect, test } from 'vitest';
import { CORPUS } from './testing/corpus/index.ts';
import { describeEntry } from './testing/describe-entry.ts';

describe('every message of the corpus is told as the golden files say', () => {
  // after a change that is meant: vitest run -u packages/message/src/corpus.test.ts, and read what has changed
  test.each(Object.entries(CORPUS))('%s', async (topic, entries) => {
    const told = entries.map(describeEntry).join('\n');
    await expect(told).toMatchFileSnapshot(`testing/corpus/${topic}.golden`);
  });
});
