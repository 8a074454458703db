/**
 * The life of a service of a line protocol: store, certificates, listeners, ready, stop. What it is made of
 * is handed in; which order keeps a switch and a shutdown short is told here.
 */
import type { App, Health } from '@mail/service';
import type { LineServer } from './server.ts';
import type { ProbeTarget, TlsAcceptor } from './tls-acceptor.ts';

/** As @mail/store has it. */
export interface ServiceStore {
  /** Rejects when the store can write no more. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** As @mail/certs has it. */
export interface ServiceCertificates {
  /** Resolves once there is something to present. Rejects with the signal's reason. */
  ready(signal: AbortSignal): Promise<void>;
  acceptor(alpn: readonly string[]): TlsAcceptor;
  setProbeTargets(targets: readonly ProbeTarget[]): void;
  onDrain(
    observer: (drain: { readonly belowGeneration: number; readonly graceMs: number }) => void,
  ): () => void;
  close(): Promise<void>;
}

export interface LineServiceOptions<Store extends ServiceStore> {
  /** Gets the condition "listeners". */
  readonly health: Health;
  /** The protocol's ids in IANA's ALPN registry. */
  readonly alpn: readonly string[];
  readonly openStore: () => Promise<Store>;
  readonly openCertificates: () => Promise<ServiceCertificates>;
  readonly openServer: (store: Store, tls: TlsAcceptor) => Promise<LineServer>;
}

export function createLineService<Store extends ServiceStore>(
  options: LineServiceOptions<Store>,
): App {
  const { health, alpn } = options;
  const stopping = new AbortController();
  const failure = Promise.withResolvers<never>();
  let store: Store | undefined;
  let certificates: ServiceCertificates | undefined;
  let server: LineServer | undefined;
  health.set('listeners', 'not listening yet');

  return {
    failed: failure.promise,
    async run() {
      store = await options.openStore();
      store.failed.catch(failure.reject);
      certificates = await options.openCertificates();
      await certificates.ready(stopping.signal);
      const opened = await options.openServer(store, certificates.acceptor(alpn));
      server = opened;
      certificates.setProbeTargets(opened.probeTargets());
      certificates.onDrain((drain) => opened.drain(drain.belowGeneration, drain.graceMs));
      health.set('listeners', undefined);
    },
    async close(graceMs) {
      stopping.abort(new Error('the service stops'));
      health.set('listeners', 'stopping');
      // listeners close at once: from then on no switch need wait for what sessions take to end
      await Promise.all([server?.close(graceMs), certificates?.close()]);
      await store?.close();
    },
  };
}
