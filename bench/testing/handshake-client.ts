/** Full handshakes one after the other on several connections at once, for some seconds. */
import { once } from 'node:events';
import { connect, createSecureContext, type SecureVersion } from 'node:tls';

interface Order {
  readonly port: number;
  readonly version: SecureVersion;
  readonly seconds: number;
  readonly clients: number;
}

export interface ClientReport {
  readonly perSecond: number;
  readonly failures: number;
  /** Handshakes from the start to the end, the warm-up included. */
  readonly total: number;
}

process.once('message', async ({ port, version, seconds, clients }: Order) => {
  const secureContext = createSecureContext({ minVersion: version, maxVersion: version });
  let done = 0;
  let total = 0;
  let failures = 0;
  let counting = false;
  let until = Number.POSITIVE_INFINITY;
  const one = async (): Promise<void> => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      rejectUnauthorized: false,
      secureContext,
    });
    try {
      await once(socket, 'secureConnect');
      total += 1;
      if (counting) done += 1;
    } catch {
      failures += 1;
    }
    // ended in order: a client that is cut off now would look like a failed handshake to the server
    socket.on('error', () => {});
    socket.resume().end();
    if (!socket.closed) await once(socket, 'close');
  };
  const loops = Array.from({ length: clients }, async () => {
    while (performance.now() < until) await one();
  });
  // the first half second warms both sides up
  await new Promise((resolve) => setTimeout(resolve, 500));
  counting = true;
  const started = performance.now();
  until = started + seconds * 1000;
  await Promise.all(loops);
  const perSecond = done / ((performance.now() - started) / 1000);
  process.send?.({ perSecond, failures, total } satisfies ClientReport, undefined, undefined, () =>
    process.disconnect?.(),
  );
});
