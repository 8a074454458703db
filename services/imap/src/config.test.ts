import { parseSettings } from '@mail/service';
import { expect, test } from 'vitest';
import { imapSettings } from './config.ts';

test('without settings: both ports on loopback, no login in the clear', () => {
  const settings = parseSettings(imapSettings, {});
  expect(settings.CONCERT_IMAP_LISTENERS).toMatchObject([
    { host: '127.0.0.1', port: 2143, tls: 'starttls', requireTlsForLogin: true },
    { host: '127.0.0.1', port: 2993, tls: 'implicit' },
  ]);
  expect(settings.CONCERT_MAX_MESSAGE_SIZE).toBe(50 * 1024 * 1024);
  // RFC 3501 §5.4
  expect(settings.CONCERT_IMAP_IDLE_TIMEOUT).toBeGreaterThanOrEqual(30 * 60_000);
});

test('extensions can be withheld, and those that there are not are refused', () => {
  const withheld = (text: string) => parseSettings(imapSettings, { CONCERT_IMAP_WITHHOLD: text });
  expect(withheld('uidonly NOTIFY').CONCERT_IMAP_WITHHOLD).toEqual(['UIDONLY', 'NOTIFY']);
  expect(() => withheld('X-NONE')).toThrow(
    /CONCERT_IMAP_WITHHOLD.*none of this service's extensions: /,
  );
});
