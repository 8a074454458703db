import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatSize, parseSize } from './sizes.ts';

test.each([
  ['0', 0],
  ['65536', 65_536],
  ['512B', 512],
  ['5GB', 5_000_000_000],
  ['5 gb', 5_000_000_000],
  ['5GiB', 5 * 1024 ** 3],
  ['1.5kB', 1_500],
  ['0.5MiB', 524_288],
  ['2TB', 2e12],
  ['', undefined],
  ['GB', undefined],
  ['-1', undefined],
  ['1e3', undefined],
  ['5G', undefined],
  ['5GBs', undefined],
  ['1.GB', undefined],
  ['99999999999PB', undefined],
])('%j is %s octets', (text, octets) => expect(parseSize(text)).toBe(octets));

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1 kB'],
  [1_240, '1.2 kB'],
  [9_960, '10 kB'],
  [999_499, '999 kB'],
  [999_500, '1 MB'],
  [5_000_000_000, '5 GB'],
  [48_700_000_000, '49 GB'],
  [9e18, '9000 PB'],
])('%d octets are %s', (octets, text) => expect(formatSize(octets)).toBe(text));

test('what is shown is read again, to a tenth', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e15 }), (octets) => {
      const read = parseSize(formatSize(octets)) ?? Number.NaN;
      expect(Math.abs(read - octets)).toBeLessThanOrEqual(octets / 10);
    }),
  );
});
