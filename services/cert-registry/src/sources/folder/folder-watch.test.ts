import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Look, type Step, type Watched, watch } from './folder-watch.ts';

const PATIENCE = { settleMs: 2, patienceMs: 30 };

/** The steps of looks at given times; what is judged is refused. */
function steps(looks: readonly (readonly [number, Look])[], handled?: string): Step[] {
  let watched: Watched | undefined;
  return looks.map(([now, look]) => {
    const seen = watch(watched, look, handled, now, PATIENCE);
    watched = seen.watched;
    if (seen.step === 'judge' && watched !== undefined) watched = { ...watched, refused: true };
    return seen.step;
  });
}

const content = (key: string): Look => ({ kind: 'content', key });
const moving: Look = { kind: 'content', key: undefined };
const trouble: Look = { kind: 'trouble', key: 'no folder' };
const nothing: Look = { kind: 'nothing', key: '' };

describe('patience with a folder', () => {
  test.each<[string, [number, Look][], Step[]]>([
    [
      'settles, is judged, is waited for, is reported',
      [
        [0, content('a')],
        [1, content('a')],
        [2, content('a')],
        [29, content('a')],
        [30, content('a')],
      ],
      ['wait', 'wait', 'judge', 'wait', 'report'],
    ],
    [
      'each change begins anew',
      [
        [0, content('a')],
        [2, content('b')],
        [4, content('b')],
        [31, content('c')],
        [33, content('c')],
      ],
      ['wait', 'wait', 'judge', 'wait', 'judge'],
    ],
    [
      'a change seen in the middle begins anew',
      [
        [0, content('a')],
        [1, moving],
        [2, content('a')],
        [4, content('a')],
      ],
      ['wait', 'wait', 'wait', 'judge'],
    ],
    [
      'what was handled is left alone',
      [
        [0, content('known')],
        [99, content('known')],
      ],
      ['rest', 'rest'],
    ],
    [
      'trouble is waited out',
      [
        [0, trouble],
        [29, trouble],
        [30, trouble],
      ],
      ['wait', 'wait', 'report'],
    ],
    [
      'nothing is nothing',
      [
        [0, nothing],
        [99, nothing],
      ],
      ['rest', 'rest'],
    ],
  ])('%s', (_, looks, expected) => {
    expect(steps(looks, 'known')).toEqual(expected);
  });

  test('nothing is judged before it stood for the settling, nor reported before the patience', () => {
    const key = fc.constantFrom('a', 'b', undefined);
    const look = fc.tuple(fc.integer({ min: 0, max: 20 }), key);
    fc.assert(
      fc.property(fc.array(look, { maxLength: 40 }), (gaps) => {
        let now = 0;
        const looks = gaps.map(([gap, seen]): [number, Look] => {
          now += gap;
          return [now, { kind: 'content', key: seen }];
        });
        const done = steps(looks);
        let since = 0;
        for (const [index, [at, { key: seen }]] of looks.entries()) {
          if (seen === undefined || looks[index - 1]?.[1].key !== seen) since = at;
          if (done[index] === 'judge') expect(at - since).toBeGreaterThanOrEqual(2);
          if (done[index] === 'report') expect(at - since).toBeGreaterThanOrEqual(30);
        }
      }),
    );
  });
});
