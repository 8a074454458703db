/** What DANE has to say against a switch: one finding per owner name that not every cache has the key's record of. Pure. */
import { type CheckResult, CheckSeverity } from '@mail/proto';
import { associationOf, type KeyHolder, presentation } from './association.ts';
import { isBare, type OwnerView, type Standing, settlesAt, standingOf } from './visibility.ts';

export const TLSA_CHECK = 'tlsa-not-visible';

/** Of a record to publish where none is there to go by. A shorter one makes for shorter waits. */
const SUGGESTED_TTL_S = 3600;

export interface Candidate extends KeyHolder {
  readonly id: string;
}

/** `refuse`: as errors; otherwise as warnings. */
export function daneChecks(
  candidate: Candidate,
  views: readonly OwnerView[],
  now: number,
  refuse: boolean,
): CheckResult[] {
  return views.flatMap((view) => {
    const standing = standingOf(view, candidate, now);
    if (standing.kind === 'settled') return [];
    return [
      {
        code: TLSA_CHECK,
        severity: refuse
          ? CheckSeverity.CHECK_SEVERITY_ERROR
          : CheckSeverity.CHECK_SEVERITY_WARNING,
        certificate: candidate.id,
        ...describe(standing, view, candidate),
      },
    ];
  });
}

function describe(
  standing: Exclude<Standing, { kind: 'settled' }>,
  view: OwnerView,
  { id, spkiSha256 }: Candidate,
): Pick<CheckResult, 'message' | 'remedy'> {
  const { owner } = view;
  const line = zoneLine(view, spkiSha256);
  switch (standing.kind) {
    case 'absent':
      if (isBare(view)) {
        return {
          message: `There is no TLSA record at ${owner} yet, so no server goes by DANE and no mail is held back: switch with --allow-tlsa-missing, or publish the record first.`,
          remedy: `Go on with "concert cert rotate ${id} --allow-tlsa-missing", or publish "${line}" and switch when "concert dane" shows it as settled.`,
        };
      }
      return {
        message: `No TLSA record at ${owner} vouches for the key of ${id}: servers that verify by DANE would hold back their mail.`,
        remedy: `Publish "${line}" beside what is there, and switch when "concert dane" shows it as settled.`,
      };
    case 'visible': {
      const { since } = standing.sighting;
      const settled = settlesAt(standing.sighting);
      return {
        message: `The TLSA record at ${owner} for the key of ${id} has been visible only since ${iso(since)}: until ${iso(settled)} caches may be without it.`,
        remedy: `Switch after ${iso(settled)}, and leave "${presentation(standing.sighting.association)}" there until then.`,
      };
    }
    case 'unknown':
      return {
        message: `Whether a TLSA record at ${owner} vouches for the key of ${id} is not known: ${standing.problem}.`,
        remedy: `See that the resolver answers (CONCERT_DANE_RESOLVER), and that "${line}" is published.`,
      };
  }
}

/** As a zone file has it, with the TTL of what is there: a set has one (RFC 2181 §5.2). */
function zoneLine({ owner, sightings }: OwnerView, spkiSha256: string): string {
  const [first] = sightings;
  const ttl = first?.ttlSeconds ?? SUGGESTED_TTL_S;
  return `${owner}. ${ttl} IN TLSA ${presentation(associationOf(spkiSha256))}`;
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
