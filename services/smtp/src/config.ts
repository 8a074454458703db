/** Settings of the SMTP service, with their defaults, and the limits that are no settings. */
import { hostname } from 'node:os';
import { byteSize, type ListenerConfig, listeners, wholeNumber } from '@mail/service';
import { parseAddress } from '@mail/store';
import { z } from 'zod';

/** What a listener is for: mail from other servers, or from our own users. */
export type SmtpRole = 'mx' | 'submission';

export interface SmtpListener extends ListenerConfig {
  readonly role: SmtpRole;
}

/** Every listener says what it is for: the wrong guess would be an open or a deaf server. */
const smtpListeners = listeners.transform((found, context): SmtpListener[] => {
  const checked: SmtpListener[] = [];
  for (const listener of found) {
    const { role, host, port } = listener;
    if (role === 'mx' || role === 'submission') checked.push({ ...listener, role });
    else {
      const message = `the listener on ${host}:${port} wants ?role=mx or ?role=submission`;
      context.addIssue({ code: 'custom', message });
    }
  }
  return checked;
});

export const smtpSettings = z
  .object({
    /** Where to listen: starttls:// and tls:// URLs with ?role=mx or ?role=submission. */
    CONCERT_SMTP_LISTENERS: smtpListeners.prefault(
      'starttls://127.0.0.1:2525?role=mx starttls://127.0.0.1:2587?role=submission ' +
        'tls://127.0.0.1:2465?role=submission',
    ),
    /** The name that the greeting, Received and Message-ID carry (RFC 5321 §4.2). */
    CONCERT_HOSTNAME: z
      .string()
      .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/, 'wants a host name')
      .default(hostname().replaceAll(/[^A-Za-z0-9.-]/g, '-') || 'localhost'),
    /**
     * Account or alias that gets mail to postmaster where nobody has that name (RFC 5321 §4.5.1); by default
     * the oldest account of the domain.
     */
    CONCERT_POSTMASTER: z
      .string()
      .refine(
        (text) => parseAddress(text) !== undefined,
        'wants an address such as alice@example.com',
      )
      .optional(),
    /** The largest message that is taken (RFC 1870). */
    CONCERT_MAX_MESSAGE_SIZE: byteSize.prefault('50MiB'),
    /** Recipients of one message; RFC 5321 §4.5.3.1.8 wants 100 at least. */
    CONCERT_SMTP_MAX_RECIPIENTS: wholeNumber(100, 10_000).prefault('100'),
    /** Memory for messages that are arriving, over all connections of a process; each is held twice. */
    CONCERT_SMTP_MESSAGE_MEMORY: byteSize.prefault('256MiB'),
    /** Connections of one process. */
    CONCERT_SMTP_MAX_CONNECTIONS: wholeNumber(1, 1_000_000).prefault('20000'),
    /** Connections from one address: a large sender opens many, an office has many clients. */
    CONCERT_SMTP_MAX_CONNECTIONS_PER_ADDRESS: wholeNumber(1, 1_000_000).prefault('500'),
  })
  .refine((read) => read.CONCERT_SMTP_MESSAGE_MEMORY >= 2 * read.CONCERT_MAX_MESSAGE_SIZE, {
    path: ['CONCERT_SMTP_MESSAGE_MEMORY'],
    message: 'wants room for one message: twice CONCERT_MAX_MESSAGE_SIZE at least',
  });
export type SmtpSettings = z.output<typeof smtpSettings>;

/** Silence after which a session ends (RFC 5321 §4.5.3.2.7). */
export const IDLE_TIMEOUT_MS = 5 * 60_000;
/** From the greeting to a login or a message, and from there to the next: thrice one command's time. */
export const PROGRESS_TIMEOUT_MS = 15 * 60_000;
/** Commands in that time, recipients aside; a client needs a handful. */
export const MAX_COMMANDS_WITHOUT_PROGRESS = 100;
/** For a whole message. */
export const MESSAGE_TIMEOUT_MS = 30 * 60_000;
/** What must come of a message in each period of it: half a KiB a second. */
export const LEAST_TRANSFER = { octets: 64 * 1024, periodMs: 2 * 60_000 };
/** A header may have so much: what would be larger is made to wear us out. */
export const MAX_HEADER_BYTES = 1024 * 1024;
/** A command line with its end; RFC 5321 §4.5.3.1.4 wants 512, RFC 4954 §4 12,288 for AUTH. */
export const MAX_COMMAND_BYTES = 12_288;
/** Received fields past which a message goes in circles (RFC 5321 §6.3 wants 100 at least to pass). */
export const MAX_HOPS = 100;
/** Recipients that were refused on one connection, past which it is a harvest of addresses. */
export const MAX_REFUSED_RECIPIENTS = 20;
/** Transactions on one connection. */
export const MAX_TRANSACTIONS = 10_000;
