/** What a process shows of its part in the fleet: what it serves, its stream, its clock, its own ports. */
import type { PortObservation } from '@mail/proto';
import { type Identity, METRICS, type Metrics } from '@mail/service';
import type { Material } from './material.ts';
import type { SubscriberStatus } from './subscriber.ts';

export class SubscriberFigures {
  readonly #metrics: Metrics;
  #connected: boolean | undefined;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    metrics.counter(METRICS.streamLosses).inc(0);
    this.probed([], '');
  }

  update(status: SubscriberStatus, material: Material | undefined): void {
    const metrics = this.#metrics;
    metrics.gauge(METRICS.generation).set(material?.generation ?? 0);
    metrics.gauge(METRICS.certificateNotBefore).set(seconds(material?.notBefore));
    metrics.gauge(METRICS.certificateExpiry).set(seconds(material?.notAfter));
    metrics.gauge(METRICS.stale).set(status.stale ? 1 : 0);
    metrics.gauge(METRICS.fenced).set(status.fenced ? 1 : 0);
    metrics.gauge(METRICS.roundTrip).set(Number(status.roundTripNs) / 1e9);
    if (status.clock !== undefined) {
      metrics.gauge(METRICS.clockOffset).set(Number(status.clock.offsetNs) / 1e9);
      metrics.gauge(METRICS.clockError).set(Number(status.clock.errorNs) / 1e9);
    }
    if (status.connected === this.#connected) return;
    if (this.#connected) metrics.counter(METRICS.streamLosses).inc();
    this.#connected = status.connected;
    metrics.gauge(METRICS.streamUp).set(status.connected ? 1 : 0);
    metrics.gauge(METRICS.streamSince).setToCurrentTime();
  }

  /** `fingerprint` is of what should have been shown. */
  probed(ports: readonly PortObservation[], fingerprint: string): void {
    const counts = { match: 0, mismatch: 0, failed: 0 };
    for (const { fingerprintSha256, error } of ports) {
      if (error !== '') counts.failed += 1;
      else if (fingerprintSha256 === fingerprint) counts.match += 1;
      else counts.mismatch += 1;
    }
    const gauge = this.#metrics.gauge(METRICS.probedPorts);
    for (const [result, count] of Object.entries(counts)) gauge.set({ result }, count);
  }

  showIdentity({ certificate }: Identity): void {
    this.#metrics.gauge(METRICS.identityNotBefore).set(seconds(certificate.validFromDate));
    this.#metrics.gauge(METRICS.identityExpiry).set(seconds(certificate.validToDate));
  }
}

function seconds(date: Date | undefined): number {
  return (date?.getTime() ?? 0) / 1000;
}
