import { expect, test } from 'vitest';
import { WorkQueue } from './work-queue.ts';

test('runs a few at once, the others in their order, and refuses the rest', async () => {
  const queue = new WorkQueue({ atOnce: 2, waiting: 2 });
  const begun: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const start = (name: string) => {
    const gate = Promise.withResolvers<void>();
    gates.set(name, gate);
    return queue.run(async () => {
      begun.push(name);
      await gate.promise;
      return name;
    });
  };
  const work = ['a', 'b', 'c', 'd'].map(start);
  await expect(start('e')).rejects.toMatchObject({ code: 'exhausted' });
  expect(begun).toEqual(['a', 'b']);
  gates.get('a')?.reject(new Error('broken'));
  await expect(work[0]).rejects.toThrow('broken');
  expect(begun).toEqual(['a', 'b', 'c']);
  for (const name of ['b', 'c', 'd']) gates.get(name)?.resolve();
  expect(await Promise.all(work.slice(1))).toEqual(['b', 'c', 'd']);
  const again = start('f');
  gates.get('f')?.resolve();
  expect(await again).toBe('f');
});
