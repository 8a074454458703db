import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { OneByOne } from './one-by-one.ts';

test('of one key in order, also behind what fails; of others at the same time', async () => {
  const work = new OneByOne<string>();
  const said: string[] = [];
  const step =
    (name: string, fails = false) =>
    async (): Promise<string> => {
      said.push(`${name} begins`);
      await nextTurn();
      said.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
  const all = [
    work.run('a', step('a1', true)),
    work.run('a', step('a2')),
    work.run('b', step('b1')),
    work.run('a', step('a3')),
  ];
  const ends = await Promise.allSettled(all);
  expect(ends.map(({ status }) => status)).toEqual([
    'rejected',
    'fulfilled',
    'fulfilled',
    'fulfilled',
  ]);
  const ofA = said.filter((line) => line.startsWith('a'));
  expect(ofA).toEqual(['a1', 'a2', 'a3'].flatMap((name) => [`${name} begins`, `${name} ends`]));
  expect(said.indexOf('b1 begins')).toBeLessThan(said.indexOf('a1 ends'));
  expect(work.size).toBe(0);
});
