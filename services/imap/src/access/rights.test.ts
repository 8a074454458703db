import { RIGHTS } from '@mail/store';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  amongKinds,
  canAnnotate,
  canWrite,
  changeableFlags,
  expandRights,
  tellRights,
  withoutWriting,
} from './rights.ts';

const sets = fc.subarray([...RIGHTS]).map((letters) => letters.join(''));

describe('rights', () => {
  test.each([
    ['', ''],
    ['lr', 'lr'],
    ['lrk', 'lrkc'],
    ['x', 'xc'],
    ['te', 'ted'],
    [RIGHTS, 'lrswipkxteacd'],
  ])('%j are told as %j', (rights, told) => {
    expect(tellRights(rights)).toBe(told);
  });

  test.each([
    ['lrc', 'lrkx'],
    ['dl', 'tel'],
    ['cdc', 'kxtekx'],
  ])('%j means %j', (told, rights) => {
    expect(expandRights(told)).toBe(rights);
  });

  test('without writing none writes, and all others stay', () => {
    fc.assert(
      fc.property(sets, (rights) => {
        const left = withoutWriting(rights);
        expect(canWrite(left)).toBe(false);
        expect(changeableFlags(left)).toEqual([]);
        expect([...rights].filter((right) => !'swite'.includes(right)).join('')).toBe(left);
      }),
    );
  });

  test.each([
    ['swt', ['\\Seen', '\\Deleted', '\\Flagged', 'x']],
    ['lrs', ['\\Seen']],
    ['t', ['\\Deleted']],
    ['wl', ['\\Flagged', 'x']],
    ['lr', []],
  ])('%j change %j', (rights, changeable) => {
    const flags = ['\\Seen', '\\Deleted', '\\Flagged', 'x'];
    expect(amongKinds(flags, changeableFlags(rights))).toEqual(changeable);
  });

  test.each([
    ['l', false],
    ['rswip', false],
    ['lr', true],
    ['lp', true],
    ['la', false],
  ])('%j reach annotations: %s', (rights, reaches) => {
    expect(canAnnotate(rights)).toBe(reaches);
  });
});
