/** Whom to tell of warnings, and how. */
import { duration, list, ServiceError } from '@mail/service';
import { z } from 'zod';
import type { Channel } from './channel.ts';
import { mailChannel } from './mail.ts';
import type { NoticeRules } from './notice-board.ts';
import { webhookChannel } from './webhook.ts';

const url = (protocols: readonly string[], example: string) =>
  z.string().transform((text, context) => {
    const read = URL.canParse(text) ? new URL(text) : undefined;
    if (read !== undefined && protocols.includes(read.protocol) && read.hostname !== '')
      return read;
    context.addIssue({ code: 'custom', message: `wants a URL such as ${example}` });
    return z.NEVER;
  });

const ADDRESS = /^[^\s@<>,;"]+@[^\s@<>,;"]+$/;
const address = z.string().regex(ADDRESS, 'wants a mail address such as admin@example.org');
const addresses = list.pipe(z.array(address));

export const notifySettings = z.object({
  /** Mail addresses that warnings go to: an expiry that comes near, a renewal that fails, a service that lags. */
  CONCERT_NOTIFY_MAIL_TO: addresses.optional(),
  /** The sender of these mails. */
  CONCERT_NOTIFY_MAIL_FROM: address.default('concert@localhost'),
  /** The SMTP server that takes them: smtp://[user@]host[:port] or smtps://. */
  CONCERT_NOTIFY_SMTP: url(['smtp:', 'smtps:'], 'smtp://mail.example.org:25').prefault(
    'smtp://127.0.0.1:2525',
  ),
  /** The password of that URL's user. */
  CONCERT_NOTIFY_SMTP_PASSWORD: z.string().optional(),
  /** A URL that warnings are posted to as JSON. */
  CONCERT_NOTIFY_WEBHOOK: url(['https:', 'http:'], 'https://example.org/hook').optional(),
  /** Signs what is posted: Concert-Signature is the HMAC-SHA-256 of the body under this secret. */
  CONCERT_NOTIFY_WEBHOOK_SECRET: z.string().min(16, 'wants at least 16 characters').optional(),
  /** How long a matter must stand before it is told, and be over before that is. */
  CONCERT_NOTIFY_DELAY: duration(100, 86_400_000).prefault('1m'),
  /** How often it is told again while it stands. */
  CONCERT_NOTIFY_REPEAT: duration(1_000).prefault('24h'),
});

export interface NotifyConfig {
  readonly rules: NoticeRules;
  /** Made when the registry begins to run. */
  readonly channels: () => Channel[];
}

/** Throws ServiceError (bad-setting). */
export function readNotifyConfig(settings: z.output<typeof notifySettings>): NotifyConfig {
  const to = settings.CONCERT_NOTIFY_MAIL_TO ?? [];
  const from = settings.CONCERT_NOTIFY_MAIL_FROM;
  const server = settings.CONCERT_NOTIFY_SMTP;
  const password = settings.CONCERT_NOTIFY_SMTP_PASSWORD;
  const webhook = settings.CONCERT_NOTIFY_WEBHOOK;
  const secret = settings.CONCERT_NOTIFY_WEBHOOK_SECRET;
  if (server.password !== '') {
    throw new ServiceError(
      'bad-setting',
      'bad settings: CONCERT_NOTIFY_SMTP: wants the password in CONCERT_NOTIFY_SMTP_PASSWORD',
    );
  }
  // fetch takes none in a URL, and would tell them in its error
  if (webhook !== undefined && (webhook.username !== '' || webhook.password !== '')) {
    throw new ServiceError(
      'bad-setting',
      'bad settings: CONCERT_NOTIFY_WEBHOOK: wants no user and password; CONCERT_NOTIFY_WEBHOOK_SECRET signs what is posted',
    );
  }
  return {
    rules: { settleMs: settings.CONCERT_NOTIFY_DELAY, repeatMs: settings.CONCERT_NOTIFY_REPEAT },
    channels: () => [
      ...(to.length === 0 ? [] : [mailChannel({ to, from, server, password })]),
      ...(webhook === undefined ? [] : [webhookChannel({ url: webhook, secret })]),
    ],
  };
}
