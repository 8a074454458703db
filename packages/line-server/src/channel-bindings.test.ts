import { expect, test } from 'vitest';
import { endPointHash } from './channel-bindings.ts';

// the bindings of real sessions are with the IMAP service, where clients compute them too
test.each([
  ['ecdsa-with-SHA256', 'sha256'],
  ['ecdsa-with-SHA384', 'sha384'],
  ['sha256WithRSAEncryption', 'sha256'],
  ['sha512WithRSAEncryption', 'sha512'],
  ['sha1WithRSAEncryption', 'sha256'],
  ['md5WithRSAEncryption', 'sha256'],
  ['RSA-SHA3-256', undefined],
  ['rsassaPss', undefined],
  ['ED25519', undefined],
  [undefined, undefined],
])('the end point of a certificate signed by %s is hashed by %s (RFC 5929 §4.1)', (name, hash) => {
  expect(endPointHash(name)).toBe(hash);
});
