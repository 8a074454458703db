/** Settings of the POP3 service, with their defaults, and its limits. */
import { duration, listeners, wholeNumber } from '@mail/service';
import { z } from 'zod';

export const popSettings = z.object({
  /** Where to listen: starttls:// and tls:// URLs (@mail/service, listeners.ts). */
  CONCERT_POP_LISTENERS: listeners.prefault('starttls://127.0.0.1:2110 tls://127.0.0.1:2995'),
  /** Silence after which a session ends without deleting; RFC 1939 §3 wants 10 minutes or more. */
  CONCERT_POP_IDLE_TIMEOUT: duration(1_000).prefault('10m'),
  /** From the connection to the login. */
  CONCERT_POP_LOGIN_TIMEOUT: duration(1_000).prefault('2m'),
  /** Connections of one process. */
  CONCERT_POP_MAX_CONNECTIONS: wholeNumber(1, 1_000_000).prefault('20000'),
  /** Connections from one address: an office has many clients. */
  CONCERT_POP_MAX_CONNECTIONS_PER_ADDRESS: wholeNumber(1, 1_000_000).prefault('500'),
});
export type PopSettings = z.output<typeof popSettings>;

/** RFC 2449 §4 allows 255 octets; a SASL response may have 12,288 (RFC 5034 §4), behind AUTH and a mechanism. */
export const MAX_LINE_BYTES = 12_288 + 64;
/** How long a full send buffer may stay full: a client that does not read for longer is gone. */
export const WRITE_TIMEOUT_MS = 2 * 60_000;
/** Unknown commands before we take the client for a broken or hostile one. */
export const MAX_BAD_COMMANDS = 20;
/** Commands of one session before others have their turn on the thread. */
export const COMMANDS_PER_TURN = 16;
