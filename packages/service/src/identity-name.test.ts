import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  checkRegistryIdentity,
  identityFromAltName,
  isIdentityName,
  parseIdentityName,
} from './identity-name.ts';

describe('an identity is read from the one URI name', () => {
  test.each([
    ['URI:spiffe://concert/service/imap', 'service', 'imap'],
    ['DNS:localhost, URI:spiffe://concert/registry', 'registry', ''],
    ['URI:spiffe://concert/operator/alice, DNS:x.example', 'operator', 'alice'],
  ])('%s', (altName, role, name) => {
    expect(identityFromAltName(altName)).toMatchObject({ role, name });
  });

  test.each([
    undefined,
    '',
    'DNS:spiffe://concert/operator/alice',
    'URI:spiffe://concert/operator/alice, URI:spiffe://concert/service/imap',
    'URI:spiffe://elsewhere/operator/alice',
    'URI:spiffe://concert/operator/alice/x',
    'URI:spiffe://concert/operator/',
    'URI:spiffe://concert/operator/Alice',
    'URI:spiffe://concert/root/alice',
    'DNS:"a, URI:spiffe://concert/operator/alice, b"',
    'URI:https://concert/operator/alice',
  ])('%s has none', (altName) => {
    expect(identityFromAltName(altName)).toBeUndefined();
  });

  test('whatever the name, it is read back or refused', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('service', 'operator'), (name, role) => {
        const identity = parseIdentityName(`${role}/${name}`);
        expect(identity !== undefined).toBe(isIdentityName(name));
        expect(identityFromAltName(`URI:spiffe://concert/${role}/${name}`)).toEqual(identity);
      }),
    );
  });
});

test.each([
  ['URI:spiffe://concert/registry', true],
  ['DNS:registry, URI:spiffe://concert/registry', true],
  ['URI:spiffe://concert/service/imap', false],
  ['DNS:"a, URI:spiffe://concert/registry"', false],
  [undefined, false],
])('%s proves to be the registry: %s', (subjectaltname, proves) => {
  expect(checkRegistryIdentity('anywhere', { subjectaltname }) === undefined).toBe(proves);
});
