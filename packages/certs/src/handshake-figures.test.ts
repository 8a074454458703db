import { expect, test } from 'vitest';
import { TlsError } from './errors.ts';
import { classifyFailure } from './handshake-figures.ts';

/** As OpenSSL's errors come from Node. */
function openssl(code: string): TlsError {
  const cause = Object.assign(new Error('as OpenSSL says'), { code });
  return new TlsError('handshake-failed', 'no handshake', { cause });
}

test.each([
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'unknown_ca'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', 'certificate_unknown'],
  ['ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN', 'certificate_unknown'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', 'certificate_expired'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED', 'bad_certificate'],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'bad_certificate'],
  ['ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE', 'bad_certificate'],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'no_shared_protocol'],
  ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', 'client_alert'],
  ['ERR_SSL_NO_SUITABLE_KEY_SHARE', 'no_shared_cipher'],
  ['ERR_SSL_BAD_EXTENSION', 'other'],
])('%s is %s', (code, reason) => {
  expect(classifyFailure(openssl(code), true)).toBe(reason);
});

test.each([
  ['handshake-timeout', 'timeout'],
  ['no-material', 'no_material'],
  ['fenced', 'fenced'],
  ['cleartext-behind-starttls', 'cleartext_behind_starttls'],
  ['client-gone', 'client_gone'],
] as const)('our own %s is %s', (code, reason) => {
  expect(classifyFailure(new TlsError(code, 'why'), false)).toBe(reason);
});

test('what began no TLS record and has no better name is plain text', () => {
  expect(classifyFailure(openssl('ERR_SSL_WRONG_VERSION_NUMBER'), false)).toBe('plain_text');
  expect(classifyFailure(openssl('ERR_SSL_WRONG_VERSION_NUMBER'), true)).toBe('other');
});
