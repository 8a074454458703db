/** The watch over TLSA records, where the settings switch it on, with what it goes by in the registry. */
import type { Source } from '@mail/proto';
import type { Logger } from '@mail/service';
import type { Certificates } from '../certificates.ts';
import type { StoredValues } from '../stored-values.ts';
import type { DaneConfig } from './config.ts';
import type { NextKey } from './dane-warnings.ts';
import { DaneWatch } from './dane-watch.ts';
import { lookUpTlsa } from './lookup.ts';

export interface DaneParts {
  readonly storedValues: StoredValues;
  readonly certificates: Certificates;
  /** Of certificates; asked once the watch has started. */
  readonly sources: () => readonly Source[];
  readonly logger: Logger;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
  readonly onFatal: (error: unknown) => void;
}

export function openDane(config: DaneConfig | undefined, parts: DaneParts): DaneWatch | undefined {
  if (config === undefined) return undefined;
  const { certificates, sources } = parts;
  return new DaneWatch({
    ...parts,
    owners: config.owners,
    lookUp: (owner, signal) => lookUpTlsa(config.resolver, owner, signal),
    keys: {
      active: () => certificates.active(),
      held: (options) => certificates.list(options),
      next: () => nextKeys(sources()),
    },
    random: Math.random,
  });
}

function nextKeys(sources: readonly Source[]): NextKey[] {
  return sources.flatMap(({ acme }) => {
    if (acme === undefined || acme.nextSpkiSha256 === '') return [];
    return [{ spkiSha256: acme.nextSpkiSha256, dueAt: acme.renewAt?.getTime() }];
  });
}
