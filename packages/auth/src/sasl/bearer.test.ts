import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AuthError } from '../errors.ts';
import { startOAuthBearer, startXOAuth2 } from './bearer.ts';
import type { SaslStep } from './step.ts';

function answer(step: SaslStep, text: string): SaslStep {
  if (step.kind !== 'challenge') throw new Error('no challenge');
  return step.next(Buffer.from(text, 'utf8'));
}
const oauthBearer = (text: string) => answer(startOAuthBearer(), text.replaceAll('^', '\x01'));
const xoauth2 = (text: string) => answer(startXOAuth2(), text.replaceAll('^', '\x01'));

const token = (value: string, authorizationId?: string) => ({
  kind: 'token',
  token: value,
  authorizationId,
});

describe('OAUTHBEARER (RFC 7628 §3.1)', () => {
  it.each([
    ['n,,^auth=Bearer abc^^', token('abc')],
    [
      'n,a=user@example.com,^host=server.example.com^port=143^auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==^^',
      token('vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==', 'user@example.com'),
    ],
    ['y,a=user=2Cx,^auth=bearer a.b-c_d~e+f/g^^', token('a.b-c_d~e+f/g', 'user,x')],
    ['n,,^auth=^^', token('')],
  ])('reads %s', (text, step) => {
    expect(oauthBearer(text)).toEqual(step);
  });

  it.each([
    '',
    '^',
    '^^',
    'n,,',
    'n,,auth=Bearer abc^^',
    'n,,^auth=Bearer abc^',
    'n,,^auth=Basic abc^^',
    'n,,^auth=Bearer a b^^',
    'n,,^auth=Bearer abc^auth=Bearer abc^^',
    'n,,^host=x^^',
    'p=tls-exporter,,^auth=Bearer abc^^',
    `n,,${'^a=b'.repeat(17)}^^`,
  ])('refuses %s', (text) => {
    expect(() => oauthBearer(text)).toThrow(
      expect.objectContaining({ code: 'malformed-response' }),
    );
  });
});

describe('XOAUTH2', () => {
  it.each([
    ['user=someuser@example.com^auth=Bearer ya29.vF9^^', token('ya29.vF9', 'someuser@example.com')],
    ['user=jürgen@x.test^auth=Bearer abc^^', token('abc', 'jürgen@x.test')],
    ['auth=Bearer abc^^', token('abc')],
  ])('reads %s', (text, step) => {
    expect(xoauth2(text)).toEqual(step);
  });

  it.each(['', '^^', 'user=a^^', 'user=a^auth=Bearer abc^', '^auth=Bearer abc^^'])(
    'refuses %s',
    (text) => {
      expect(() => xoauth2(text)).toThrow(AuthError);
    },
  );
});

it('throws nothing but AuthError, whatever comes', () => {
  const part = fc.constantFrom(
    'n,,',
    '^',
    'auth=Bearer ',
    'abc',
    'user=',
    'a=b',
    'p=x,,',
    '\0',
    'é',
  );
  const text = fc.oneof(
    fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary', maxLength: 60 }),
  );
  fc.assert(
    fc.property(text, (message) => {
      for (const read of [oauthBearer, xoauth2]) {
        try {
          expect(read(message).kind).toBe('token');
        } catch (error) {
          expect(error).toBeInstanceOf(AuthError);
        }
      }
    }),
  );
});
