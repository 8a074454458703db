/**
 * How long a CA is left alone after a failure: pure. It is decided, and kept, before an attempt is made, so
 * that a registry that is started again and again asks no more often than one that lives on.
 */
import type { Validity } from './renewal-time.ts';

/** Times are milliseconds since the epoch. */
export interface Attempts {
  /** In a row. */
  readonly failures: number;
  /** Not to be tried by itself before; 0 for at once. */
  readonly nextAt: number;
  /** The CA's rate limit says so: then an operator does not try before either. */
  readonly limited: boolean;
}

export const NO_ATTEMPTS: Attempts = { failures: 0, nextAt: 0, limited: false };

export interface FailureFacts {
  readonly now: number;
  /** Only an operator can mend it. */
  readonly permanent?: boolean;
  readonly rateLimited?: boolean;
  readonly retryAfterMs?: number | undefined;
  /** Of the certificate that is to be renewed; undefined where there is none. */
  readonly held: Validity | undefined;
  /** From 0 to below 1. */
  readonly random: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** After 1, 3, 9, … minutes: five tries in the first two hours, which CAs' limits on failures allow. */
const FIRST_MS = MINUTE_MS;
const FACTOR = 3;
/** Of what only an operator can mend. */
const SLOW_FIRST_MS = HOUR_MS;
const MOST_MS = DAY_MS;
/** With a certificate that runs out, nothing waits longer than this part of what is left… */
const PART_OF_REST = 1 / 4;
/** …or than this, when little or nothing is left. */
const PRESSED_MS = HOUR_MS;
/** The steps of certificates that live for less than a day shrink with their life. */
const PART_OF_LIFE = 1 / 20;
const LEAST_MS = 1_000;
const JITTER = 0.2;
/**
 * As long as a CA's word holds at a stretch, whatever is left of the certificate: RFC 8555 §6.6 knows no bound,
 * and a mistake of the CA's would silence us for years. Asked once a day, no CA suffers.
 */
const LONGEST_LIMIT_MS = DAY_MS;

/** `attempts` after one more failure. */
export function afterFailure(attempts: Attempts, facts: FailureFacts): Attempts {
  const { now, permanent = false, rateLimited = false, retryAfterMs = 0, random } = facts;
  const own = Math.round(
    ownDelay(attempts.failures, permanent, facts) * (1 + JITTER * (2 * random - 1)),
  );
  const asked = Math.min(retryAfterMs, LONGEST_LIMIT_MS);
  return {
    failures: attempts.failures + 1,
    nextAt: now + Math.max(own, asked),
    limited: rateLimited && asked > 0,
  };
}

function ownDelay(failures: number, permanent: boolean, { held, now }: FailureFacts): number {
  const life =
    held === undefined ? Number.POSITIVE_INFINITY : Math.max(0, held.notAfter - held.notBefore);
  const shortest = Math.max(LEAST_MS, life * PART_OF_LIFE);
  const first = Math.min(permanent ? SLOW_FIRST_MS : FIRST_MS, shortest);
  const steps = first * FACTOR ** Math.min(failures, 20);
  const rest = held === undefined ? Number.POSITIVE_INFINITY : held.notAfter - now;
  const most = Math.min(MOST_MS, Math.max(rest * PART_OF_REST, Math.min(PRESSED_MS, shortest)));
  return Math.min(steps, most);
}

/**
 * When to try by itself at the earliest. A time that is too far away was kept by a clock that was ahead: it
 * must not silence us for years, so it counts as over.
 */
export function earliest({ nextAt }: Attempts, now: number): number {
  return nextAt > now + LONGEST_LIMIT_MS * (1 + JITTER) ? now : nextAt;
}
