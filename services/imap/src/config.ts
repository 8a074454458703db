/** Settings of the IMAP service, with their defaults. */
import { byteSize, duration, list, listeners, wholeNumber } from '@mail/service';
import { z } from 'zod';
import { EXTENSIONS } from './commands/index.ts';

const extensions = list.pipe(
  z.array(
    z
      .string()
      .toUpperCase()
      .refine((name) => EXTENSIONS.includes(name), {
        error: `is none of this service's extensions: ${EXTENSIONS.join(' ')}`,
      }),
  ),
);

export const imapSettings = z.object({
  /** Where to listen: starttls:// and tls:// URLs (@mail/service, listeners.ts). */
  CONCERT_IMAP_LISTENERS: listeners.prefault('starttls://127.0.0.1:2143 tls://127.0.0.1:2993'),
  /** The largest message that APPEND takes. */
  CONCERT_MAX_MESSAGE_SIZE: byteSize.prefault('50MiB'),
  /** Memory for messages that are being appended, over all connections of a process. */
  CONCERT_IMAP_APPEND_MEMORY: byteSize.prefault('256MiB'),
  /** Silence after which a session ends; RFC 3501 §5.4 wants 30 minutes or more. */
  CONCERT_IMAP_IDLE_TIMEOUT: duration(1_000).prefault('30m'),
  /** From the connection to the login. */
  CONCERT_IMAP_LOGIN_TIMEOUT: duration(1_000).prefault('2m'),
  /** Connections of one process. */
  CONCERT_IMAP_MAX_CONNECTIONS: wholeNumber(1, 1_000_000).prefault('20000'),
  /** Connections from one address: a client opens several, an office has many clients. */
  CONCERT_IMAP_MAX_CONNECTIONS_PER_ADDRESS: wholeNumber(1, 1_000_000).prefault('500'),
  /**
   * Connections that are logged in to one account: a client opens up to twenty, and people have several.
   * Each process counts its own, so of N workers an account may have up to N times as many.
   */
  CONCERT_IMAP_MAX_CONNECTIONS_PER_ACCOUNT: wholeNumber(1, 1_000_000).prefault('60'),
  /**
   * Extensions that are neither announced nor enabled, as CAPABILITY names them: some clients enable what they
   * see and cannot use it.
   */
  CONCERT_IMAP_WITHHOLD: extensions.prefault(''),
});
export type ImapSettings = z.output<typeof imapSettings>;

/** How long a full send buffer may stay full: a client that does not read for longer is gone. */
export const WRITE_TIMEOUT_MS = 2 * 60_000;
/** Commands in a row that were answered BAD before we take the client for a broken or hostile one. */
export const MAX_BAD_IN_A_ROW = 20;
