/**
 * Which certificates by ACME need not be held any more: pure. Those of a CA whose certificates live for an
 * hour would fill the registry within a year, and then no renewal would find room.
 */
import { type Certificate, CertificateState } from '@mail/proto';

/** As many that have ended are kept, for whoever looks back. */
const KEPT = 20;

/** Ids of those that have ended, but for the newest. `actor` has brought them; `now` in milliseconds. */
export function outlived(all: readonly Certificate[], actor: string, now: number): string[] {
  return all
    .filter(
      ({ createdBy, state, notAfter }) =>
        createdBy === actor &&
        state === CertificateState.CERTIFICATE_STATE_AVAILABLE &&
        notAfter !== undefined &&
        notAfter.getTime() < now,
    )
    .sort((one, other) => (other.notAfter?.getTime() ?? 0) - (one.notAfter?.getTime() ?? 0))
    .slice(KEPT)
    .map(({ id }) => id);
}
