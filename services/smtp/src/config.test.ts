import { parseSettings } from '@mail/service';
import { expect, test } from 'vitest';
import { smtpSettings } from './config.ts';

test('by default: mail from other servers, and submission by STARTTLS and implicit TLS', () => {
  const settings = parseSettings(smtpSettings, {});
  expect(settings.CONCERT_SMTP_LISTENERS.map(({ port, tls, role }) => [port, tls, role])).toEqual([
    [2525, 'starttls', 'mx'],
    [2587, 'starttls', 'submission'],
    [2465, 'implicit', 'submission'],
  ]);
  expect(settings.CONCERT_MAX_MESSAGE_SIZE).toBe(50 * 1024 * 1024);
  expect(settings.CONCERT_HOSTNAME).not.toBe('');
});

test.each([
  [{ CONCERT_SMTP_LISTENERS: 'tls://127.0.0.1:465' }, 'wants ?role=mx or ?role=submission'],
  [{ CONCERT_SMTP_LISTENERS: 'tls://127.0.0.1:465?role=relay' }, 'wants ?role=mx'],
  [{ CONCERT_POSTMASTER: 'alice' }, 'CONCERT_POSTMASTER: wants an address'],
  [{ CONCERT_HOSTNAME: 'a b' }, 'CONCERT_HOSTNAME: wants a host name'],
  [{ CONCERT_SMTP_MAX_RECIPIENTS: '99' }, 'from 100 to'],
  [{ CONCERT_SMTP_MESSAGE_MEMORY: '99MiB' }, 'CONCERT_SMTP_MESSAGE_MEMORY: wants room for one'],
])('%j is refused', (settings, message) => {
  expect(() => parseSettings(smtpSettings, settings)).toThrow(message);
});
