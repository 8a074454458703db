/** What an operator should know of the TLSA records without asking. Pure. */
import type { Warning } from '../warnings.ts';
import { type KeyHolder, presentation, vouches } from './association.ts';
import { hostOf } from './config.ts';
import { isKnown, type OwnerView, standingOf } from './visibility.ts';

/** How long before a renewal the next key is asked for; longer where TTLs want it. */
const AHEAD_MS = 2 * 86_400_000;
/** One or two lookups fail anywhere. */
const FAILURES = 3;
const FEW = 3;

export interface NextKey {
  readonly spkiSha256: string;
  /** When the certificate with that key is due, in milliseconds; undefined where nobody knows. */
  readonly dueAt: number | undefined;
}

export interface DaneSubject {
  readonly active: KeyHolder | undefined;
  readonly nextKeys: readonly NextKey[];
}

export function daneWarnings(
  { active, nextKeys }: DaneSubject,
  views: readonly OwnerView[],
  now: number,
): Warning[] {
  return views.flatMap((view) => [
    ...lookupWarnings(view),
    ...(isKnown(view, now) ? setWarnings(active, view) : []),
    ...nextKeys.flatMap((key) => nextKeyWarnings(key, active, view, now)),
  ]);
}

function lookupWarnings({ owner, problem, failures }: OwnerView): Warning[] {
  if (failures < FAILURES) return [];
  return [
    warning(owner, 'lookup', 1, `the TLSA records of ${owner} cannot be looked up: ${problem}`),
  ];
}

function setWarnings(active: KeyHolder | undefined, view: OwnerView): Warning[] {
  const { owner, sightings, authenticated } = view;
  if (active === undefined) return [];
  if (sightings.length === 0) {
    return [
      warning(
        owner,
        'active',
        0,
        `there is no TLSA record at ${owner}; see "concert dane" for the one to publish`,
      ),
    ];
  }
  const host = hostOf(owner);
  const found: Warning[] = [];
  if (!sightings.some(({ association }) => vouches(association, active, host))) {
    const seen = sightings.slice(0, FEW).map(({ association }) => presentation(association));
    const more = sightings.length > FEW ? ` and ${sightings.length - FEW} more` : '';
    found.push(
      warning(
        owner,
        'active',
        2,
        `no TLSA record at ${owner} vouches for the active key: servers that verify by DANE hold back their mail now; there are ${seen.join(', ')}${more}`,
      ),
    );
  }
  if (!authenticated) {
    found.push(
      warning(
        owner,
        'dnssec',
        0,
        `the resolver does not say that DNSSEC vouches for the TLSA records of ${owner}: without that nobody goes by them`,
      ),
    );
  }
  return found;
}

function nextKeyWarnings(
  { spkiSha256, dueAt }: NextKey,
  active: KeyHolder | undefined,
  view: OwnerView,
  now: number,
): Warning[] {
  if (dueAt === undefined || spkiSha256 === active?.spkiSha256) return [];
  const ttl = Math.max(0, ...view.sightings.map(({ ttlSeconds }) => ttlSeconds));
  const near = dueAt - now < Math.max(AHEAD_MS, 4 * ttl * 1000);
  const standing = standingOf(view, { spkiSha256, dnsNames: [], chainPem: '' }, now);
  if (!near || standing.kind !== 'absent') return [];
  const at = new Date(dueAt).toISOString();
  return [
    warning(
      view.owner,
      'next',
      1,
      `the next key has no TLSA record at ${view.owner}, and a certificate with it is due on ${at}; see "concert dane" for the record to publish`,
    ),
  ];
}

function warning(owner: string, matter: string, level: number, message: string): Warning {
  return { code: 'tlsa', subject: `${owner} ${matter}`, level, message };
}
