/** The sources that the settings switch on, with what they share. */
import type { Logger, Metrics } from '@mail/service';
import type { AuditTrail } from '../audit.ts';
import type { Certificates } from '../certificates.ts';
import type { RegistryDatabase } from '../database.ts';
import type { KeyVault } from '../key-vault.ts';
import type { RequiredNames } from '../required-names.ts';
import type { Rotations } from '../rotations.ts';
import type { StoredValues } from '../stored-values.ts';
import type { AcmeConfig } from './acme/config.ts';
import { openAcme } from './acme/open-acme.ts';
import type { ArrivalPolicy } from './arrival-plan.ts';
import { Arrivals } from './arrivals.ts';
import type { SourcesConfig } from './config.ts';
import { FolderSource } from './folder/folder-source.ts';
import { type CertificateSource, type SourceName, Sources } from './source.ts';
import { exposeSources } from './source-metrics.ts';
import { SourceStatus } from './source-status.ts';

export interface SourceParts {
  readonly database: RegistryDatabase;
  readonly storedValues: StoredValues;
  readonly vault: KeyVault;
  readonly certificates: Certificates;
  readonly rotations: Rotations;
  readonly requiredNames: RequiredNames;
  readonly audit: AuditTrail;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
  readonly onFatal: (error: unknown) => void;
}

export function openSources(
  { window, folder }: SourcesConfig,
  acme: AcmeConfig | undefined,
  parts: SourceParts,
): Sources {
  const policies = new Map<SourceName, ArrivalPolicy>();
  if (folder !== undefined) policies.set('folder', folder.policy);
  if (acme !== undefined) policies.set('acme', acme.policy);
  const arrivals = new Arrivals({ ...parts, policies, window, random: Math.random });
  const statusOf = (name: SourceName, policy: ArrivalPolicy, location: string) =>
    new SourceStatus({ ...parts, name, policy, location, arrivals });

  const sources: CertificateSource[] = [];
  if (folder !== undefined) {
    const status = statusOf('folder', folder.policy, folder.path);
    const monotonicNow = () => performance.now();
    sources.push(new FolderSource({ ...parts, config: folder, arrivals, status, monotonicNow }));
  }
  if (acme !== undefined) {
    const status = statusOf('acme', acme.policy, acme.account.directoryUrl);
    sources.push(openAcme({ ...parts, config: acme, arrivals, status }));
  }
  const opened = new Sources(sources, arrivals);
  exposeSources(parts.metrics, () => opened.list());
  return opened;
}
