/** What may speak against a switch besides what the certificate itself shows; DANE's is dane/. */
import type { Certificate, CheckResult } from '@mail/proto';
import type { SwitchOptions } from './switch-options.ts';

export interface SwitchGuard {
  /** Looks afresh at what `check` goes by where that may help, for a few seconds at most. Never rejects. */
  look(certificate: Certificate): Promise<void>;
  /** Errors where the switch must not go ahead, unless `options` allow it. */
  check(certificate: Certificate, options: Pick<SwitchOptions, 'allowTlsaMissing'>): CheckResult[];
}
