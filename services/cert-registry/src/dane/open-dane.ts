/** The watch over TLSA records, where the settings switch it on, with what it goes by in the registry. */
import type { Source } from '@mail/proto';
import type { Logger } from '@mail/service';
import type { Certificates } from '../certificates.ts';
import type { RegistryDatabase } from '../database.ts';
import type { DaneConfig } from './config.ts';
import type { NextKey } from './dane-warnings.ts';
import { DaneWatch } from './dane-watch.ts';
import { lookUpTlsa } from './lookup.ts';

export interface DaneParts {
  readonly database: RegistryDatabase;
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
  const { database, certificates, sources } = parts;
  return new DaneWatch({
    ...parts,
    owners: config.owners,
    lookUp: (owner, signal) => lookUpTlsa(config.resolver, owner, signal),
    keys: {
      active: () => certificates.active(),
      held: (options) => certificates.list(options),
      next: () => nextKeys(sources()),
    },
    memory: {
      read: (name) => database.setting(name),
      write: (name, value) => database.setSetting(name, value),
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
