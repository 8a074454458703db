import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TestCa } from '../../testing/test-ca.ts';
import { alternateUrls, preferredChain } from './chains.ts';

const BASE = 'https://ca.example/certificate/1';

test.each<[string, string | undefined, readonly string[]]>([
  ['no header', undefined, []],
  ['one', '<https://ca.example/2>;rel="alternate"', ['https://ca.example/2']],
  [
    'several, among others',
    '<https://ca.example/directory>;rel="index", </2>; title="x, y"; rel=alternate, <3> ; REL="alternate"',
    ['https://ca.example/2', 'https://ca.example/certificate/3'],
  ],
  ['what is no URL', '<https://>;rel="alternate"', []],
  ['another relation', '</2>;rel="alternately"', []],
])('alternates: %s', (_, header, urls) => {
  expect(alternateUrls(header, BASE)).toEqual(urls);
});

test('alternates: bounded, and no header is too odd', () => {
  expect(alternateUrls('</2>;rel="alternate",'.repeat(100), BASE)).toHaveLength(8);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (header) => {
      for (const url of alternateUrls(header, BASE)) expect(URL.canParse(url)).toBe(true);
    }),
  );
});

const ca = new TestCa('Chain');
const { cert, chain } = ca.issue({ names: ['a.example'] });
const [usual, other] = [`${cert}\n${chain}`, `${cert}\n${ca.crossSignedIntermediate()}`];

test.each<[string, string, string]>([
  ['the one under that root', 'Chain Other Root', other],
  ['the first, under none of that name', 'Somebody', usual],
  ['the first of those that have it equally', 'Chain Issuing', usual],
])('chosen: %s', async (_, authority, wanted) => {
  expect(await preferredChain([usual, other], authority)).toBe(wanted);
});

test('chosen: a chain that ends at the authority before one that goes on behind it', async () => {
  const long = `${usual}\n${ca.rootPem}`;
  expect(await preferredChain([long, usual], 'Chain Issuing')).toBe(usual);
});

test('a chain that is none is an answer that no CA may give', async () => {
  await expect(preferredChain([usual, 'hello'], 'Chain Root')).rejects.toMatchObject({
    code: 'bad-answer',
  });
});
