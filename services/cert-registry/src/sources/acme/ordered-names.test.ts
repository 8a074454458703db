import { generateKeyPairSync } from 'node:crypto';
import { createSigningRequest } from '@mail/x509';
import { describe, expect, test } from 'vitest';
import { TestCa } from '../../testing/test-ca.ts';
import { checkOrderedNames } from './ordered-names.ts';

const ca = new TestCa('Names');
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const check = (ordered: readonly string[], ...leaves: string[]): Promise<void> =>
  checkOrderedNames(
    [...leaves, ca.intermediatePem].join('\n'),
    createSigningRequest({ names: ordered, privateKey }),
    ordered,
  );
const signed = (names: readonly string[]): string => ca.sign(names, publicKey);

test.each([
  ['the same', ['a.example', 'b.example'], ['b.example', 'a.example']],
  ['a wildcard beside its name', ['a.example', '*.a.example'], ['*.a.example', 'a.example']],
])('taken: %s', async (_, ordered, presented) => {
  await check(ordered, signed(presented));
});

describe('refused', () => {
  test.each([
    [
      'another name',
      ['localhost'],
      ['evil.example'],
      'lacks localhost, and is also for what was not ordered, evil.example',
    ],
    ['a name less', ['a.example', 'b.example'], ['a.example'], 'lacks b.example'],
    [
      'a name more',
      ['a.example'],
      ['a.example', 'www.a.example'],
      'is also for what was not ordered, www.a.example',
    ],
    [
      'a wildcard in place of a name',
      ['mail.a.example'],
      ['*.a.example'],
      'lacks mail.a.example, and is also for what was not ordered, *.a.example',
    ],
    [
      'many',
      ['a.example'],
      ['a.example', ...Array.from({ length: 7 }, (_, index) => `${index}.example`)],
      'is also for what was not ordered, 0.example, 1.example, 2.example, 3.example, 4.example and 2 more',
    ],
  ])('%s', async (_, ordered, presented, fault) => {
    await expect(check(ordered, signed(presented))).rejects.toMatchObject({
      name: 'AcmeError',
      code: 'bad-answer',
      message: `the CA's certificate ${fault}`,
    });
  });

  test('behind one of another key that has the right names', async () => {
    const decoy = ca.sign(['localhost'], other.publicKey);
    await expect(check(['localhost'], decoy, signed(['evil.example']))).rejects.toThrow(
      'lacks localhost',
    );
  });
});
