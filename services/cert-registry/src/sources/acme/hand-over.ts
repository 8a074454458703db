/**
 * What becomes of a certificate that has come: arrivals.ts has it first of all, on its way into force,
 * whatever else fails afterwards; then it is the one that the timetable goes by. An interrupted hand-over is
 * repeated as a whole, by the next look or the next process, since its request stays the one that waits.
 */
import type { Logger } from '@mail/service';
import type { AuditTrail } from '../../audit.ts';
import type { Certificates } from '../../certificates.ts';
import type { Arrivals } from '../arrivals.ts';
import { sourceActor } from '../source.ts';
import type { SourceStatus } from '../source-status.ts';
import { NO_ATTEMPTS } from './back-off.ts';
import { renewalTime } from './renewal-time.ts';
import type { KeptState } from './state.ts';

export interface HandOverParts {
  readonly state: KeptState;
  readonly certificates: Certificates;
  readonly arrivals: Arrivals;
  readonly status: SourceStatus;
  readonly audit: AuditTrail;
  readonly logger: Logger;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/**
 * Hands over the certificate of the request that waited, also where a former process had it answered. Its
 * names are those that were asked for, whatever the CA made of them. False where it has not been answered.
 * Throws what the database throws; then nothing has changed.
 */
export function handOver(parts: HandOverParts): boolean {
  const { state, certificates, arrivals, status, audit, logger, now, random } = parts;
  const { requestId: id, requestNames: names, directoryUrl } = state.value;
  const { notBefore, notAfter } = certificates.whole(id) ?? {};
  if (id === undefined || notBefore === undefined || notAfter === undefined) return false;
  arrivals.accept({ source: 'acme', certificateId: id });
  const arrivedAt = now();
  const validity = { notBefore: notBefore.getTime(), notAfter: notAfter.getTime() };
  const renewAt = renewalTime(validity, arrivedAt, random());
  const certificate = { id, names, ...validity, arrivedAt, renewAt };
  const untried = { attempts: NO_ATTEMPTS, attempted: '' };
  state.replace({ directoryUrl, requestNames: [], certificate, askAt: 0, deaf: false, ...untried });
  status.succeeded();
  audit.record({ actor: sourceActor('acme'), action: 'acme-order', target: id, outcome: 'ok' });
  logger.info({ certificate: id, names }, 'a certificate has come by ACME');
  return true;
}
