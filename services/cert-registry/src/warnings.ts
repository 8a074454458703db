/**
 * What an operator should look at, from whoever knows of it: shown with the fleet, and sent by mail and
 * webhook where those are set (notify/). A warning is about one subject and goes away by itself.
 */
import type { Certificate, Source, Subscriber } from '@mail/proto';
import { SourceState } from '@mail/proto';
import type { SubscriberName } from './participants.ts';

export const WARNING_CODES = [
  'certificate-expires',
  'subscriber-lags',
  'subscriber-gone',
  'source-failed',
  'certificate-waits',
  'tlsa',
  'notification-failed',
] as const;

export type WarningCode = (typeof WARNING_CODES)[number];

export interface Warning {
  readonly code: WarningCode;
  /** With the code, what makes it the same warning as before: an id, a name. */
  readonly subject: string;
  /** Grows as the matter gets worse; a higher one is told again. */
  readonly level: number;
  /** For people, one line. */
  readonly message: string;
}

const DAY_MS = 86_400_000;

/**
 * From which time left on an expiry is told, mildest first: 21, 7 and 2 days, and of a shorter life a part,
 * below the third at which sources renew. Alerts go by the same (deploy/monitoring/concert.rules.yaml).
 */
export const EXPIRY_STAGES = [
  { days: 21, fraction: 1 / 4 },
  { days: 7, fraction: 1 / 8 },
  { days: 2, fraction: 1 / 16 },
] as const;

function expiryWarnings(active: Certificate | undefined, now: number): Warning[] {
  const { id, notBefore, notAfter } = active ?? {};
  if (id === undefined || notBefore === undefined || notAfter === undefined) return [];
  const left = notAfter.getTime() - now;
  const life = notAfter.getTime() - notBefore.getTime();
  const warning = (level: number, text: string): Warning[] => [
    {
      code: 'certificate-expires',
      subject: id,
      level,
      message: `the active certificate ${id} ${text}`,
    },
  ];
  if (left <= 0) return warning(EXPIRY_STAGES.length + 1, 'has expired: rotate now');
  const level = EXPIRY_STAGES.filter(
    ({ days, fraction }) => left < Math.min(days * DAY_MS, life * fraction),
  ).length;
  if (level === 0) return [];
  return warning(level, `expires in ${describeSpan(left)}, on ${notAfter.toISOString()}`);
}

/** What the fleet itself shows. `now` in milliseconds since the epoch. */
export function fleetWarnings(
  active: Certificate | undefined,
  subscribers: readonly Subscriber[],
  now: number,
): Warning[] {
  return [...expiryWarnings(active, now), ...lagWarnings(subscribers)];
}

function describeSpan(ms: number): string {
  for (const [unit, size] of [
    ['day', DAY_MS],
    ['hour', 3_600_000],
    ['minute', 60_000],
  ] as const) {
    const count = Math.floor(ms / size);
    if (count > 0) return `${count} ${unit}${count === 1 ? '' : 's'}`;
  }
  return 'less than a minute';
}

/** One for all of them: a fleet that lags is one matter. */
function lagWarnings(subscribers: readonly Subscriber[]): Warning[] {
  const lagging = subscribers.filter((subscriber) => subscriber.lagging);
  if (lagging.length === 0) return [];
  const message = `not on the active generation: ${nameSome(lagging)}`;
  return [{ code: 'subscriber-lags', subject: 'fleet', level: 1, message }];
}

/** Of those whose lease ran out not long ago: no switch waits for them, and the fleet no longer shows them. */
export function goneWarnings(gone: readonly SubscriberName[]): Warning[] {
  if (gone.length === 0) return [];
  const message =
    'lost for a whole lease, and no switch waits for them any more; ' +
    `where they still run, they serve what they had: ${nameSome(gone)}`;
  return [{ code: 'subscriber-gone', subject: 'fleet', level: 1, message }];
}

function nameSome(subscribers: readonly SubscriberName[]): string {
  const few = subscribers.slice(0, 5).map(({ service, instance }) => `${service} ${instance}`);
  const more =
    subscribers.length > few.length ? ` and ${subscribers.length - few.length} more` : '';
  return `${few.join(', ')}${more}`;
}

export function sourceWarnings(sources: readonly Source[]): Warning[] {
  return sources.flatMap((source): Warning[] => {
    const { name: subject, location, state, detail, failures, certificateId } = source;
    const where = `the certificate source ${subject} (${location})`;
    if (state === SourceState.SOURCE_STATE_FAILED) {
      const message = `${where} failed: ${detail}; see "concert source list"`;
      return [{ code: 'source-failed', subject, level: 1, message }];
    }
    if (state === SourceState.SOURCE_STATE_WAITING && failures > 0) {
      const message = `${where} could not switch yet: ${detail}; see "concert source list"`;
      return [{ code: 'source-failed', subject, level: 1, message }];
    }
    if (
      state === SourceState.SOURCE_STATE_STAGED ||
      (state === SourceState.SOURCE_STATE_WAITING && certificateId !== '')
    ) {
      const message = `certificate ${certificateId} from ${subject} waits: ${detail}`;
      return [
        { code: 'certificate-waits', subject: `${subject} ${certificateId}`, level: 0, message },
      ];
    }
    return [];
  });
}
