/** What DNS says of each key at each owner name, and what is there besides, as the contract lists it. Pure. */
import { type Certificate, CertificateState, TlsaRecord, TlsaUse } from '@mail/proto';
import { associationOf, type KeyHolder, presentation } from './association.ts';
import { type OwnerView, standingOf } from './visibility.ts';

export interface Keys {
  /** All that the registry holds, chains included where they are needed; newest first. */
  readonly held: readonly Certificate[];
  /** Of the keys of certificates to come. */
  readonly nextSpkis: readonly string[];
}

interface Row extends KeyHolder {
  readonly use: TlsaUse;
  readonly certificateId: string;
}

const ORDER = [TlsaUse.TLSA_USE_ACTIVE, TlsaUse.TLSA_USE_NEXT, TlsaUse.TLSA_USE_HELD] as const;

/** By owner; the active key first, then the next ones, then the others. What has expired is left out. */
export function tlsaRecords(keys: Keys, views: readonly OwnerView[], now: number): TlsaRecord[] {
  const rows = rowsOf(keys, now);
  return views.flatMap((view) => [
    ...rows.map((row) => ownRecord(row, view, now)),
    ...foreignRecords(rows, view, now),
  ]);
}

/** One per key: several certificates may have the same. */
function rowsOf({ held, nextSpkis }: Keys, now: number): Row[] {
  const rows = held
    .filter(({ state, notAfter }) => {
      const active = state === CertificateState.CERTIFICATE_STATE_ACTIVE;
      return active || notAfter === undefined || notAfter.getTime() > now;
    })
    .map(({ id, state, spkiSha256, dnsNames, chainPem }): Row => {
      const active = state === CertificateState.CERTIFICATE_STATE_ACTIVE;
      const use = active
        ? TlsaUse.TLSA_USE_ACTIVE
        : nextSpkis.includes(spkiSha256)
          ? TlsaUse.TLSA_USE_NEXT
          : TlsaUse.TLSA_USE_HELD;
      return { use, certificateId: id, spkiSha256, dnsNames, chainPem };
    });
  const madeAhead = nextSpkis.map((spkiSha256): Row => {
    const use = TlsaUse.TLSA_USE_NEXT;
    return { use, certificateId: '', spkiSha256, dnsNames: [], chainPem: '' };
  });
  const byKey = new Map<string, Row>();
  const ordered = ORDER.flatMap((use) => [...rows, ...madeAhead].filter((row) => row.use === use));
  for (const row of ordered) if (!byKey.has(row.spkiSha256)) byKey.set(row.spkiSha256, row);
  return [...byKey.values()];
}

function ownRecord(row: Row, view: OwnerView, now: number): TlsaRecord {
  const standing = standingOf(view, row, now);
  const sighting = 'sighting' in standing ? standing.sighting : undefined;
  return {
    ...base(view),
    spkiSha256: row.spkiSha256,
    use: row.use,
    certificateId: row.certificateId,
    visibleSince: sighting === undefined ? undefined : new Date(sighting.since),
    ttlSeconds: sighting?.ttlSeconds ?? 0,
    settled: standing.kind === 'settled',
    problem: standing.kind === 'unknown' ? standing.problem : view.problem,
  };
}

/** Only "3 1 1": others are over something else than a key, and are told in warnings. */
function foreignRecords(rows: readonly Row[], view: OwnerView, now: number): TlsaRecord[] {
  const ours = new Set(rows.map(({ spkiSha256 }) => spkiSha256));
  return view.sightings.flatMap(({ association }) => {
    const { data } = association;
    if (presentation(association) !== presentation(associationOf(data)) || ours.has(data))
      return [];
    const use = TlsaUse.TLSA_USE_FOREIGN;
    const row = { use, certificateId: '', spkiSha256: data, dnsNames: [], chainPem: '' };
    return [ownRecord(row, view, now)];
  });
}

function base({ owner, authenticated, answeredAt }: OwnerView): TlsaRecord {
  const checkedAt = answeredAt === undefined ? undefined : new Date(answeredAt);
  return { ...TlsaRecord.create({ owner, authenticated }), checkedAt };
}
