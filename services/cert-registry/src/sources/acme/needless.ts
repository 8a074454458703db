/**
 * Which certificates and requests by ACME need not be held any more: pure. Those of a CA whose certificates
 * live for an hour would fill the registry within a year, and then no renewal would find room.
 */
import { type Certificate, CertificateState } from '@mail/proto';

/** As many that have ended are kept, for whoever looks back. */
const KEPT = 20;

export interface Needs {
  /** Who has brought them. */
  readonly actor: string;
  /** The request that waits. Another one was replaced, or a process died before it knew its id. */
  readonly requestId: string | undefined;
  /** Wall clock, milliseconds. */
  readonly now: number;
}

/** Ids: of certificates that have ended all but the newest, of requests all but the one that waits. */
export function needless(all: readonly Certificate[], { actor, requestId, now }: Needs): string[] {
  const ours = all.filter(({ createdBy }) => createdBy === actor);
  const requests = ours.filter(
    ({ id, state }) => state === CertificateState.CERTIFICATE_STATE_PENDING && id !== requestId,
  );
  const ended = ours
    .filter(
      ({ state, notAfter }) =>
        state === CertificateState.CERTIFICATE_STATE_AVAILABLE &&
        notAfter !== undefined &&
        notAfter.getTime() < now,
    )
    .sort((one, other) => (other.notAfter?.getTime() ?? 0) - (one.notAfter?.getTime() ?? 0))
    .slice(KEPT);
  return [...requests, ...ended].map(({ id }) => id);
}
