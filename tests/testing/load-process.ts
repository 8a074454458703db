/** The load of handshakes in a process of its own, so that it shares no event loop with what it measures. */
import { type LoadReport, startLoad } from './handshakes.ts';
import type { MailPort } from './system.ts';

export interface LoadOrder {
  readonly ports: MailPort[];
  readonly perSecondAndPort: number;
}

/** What goes over IPC: bigint as text. */
export interface LoadResult {
  readonly samples: readonly {
    readonly port: string;
    readonly helloAt: string;
    readonly doneAt: string;
    readonly fingerprint: string;
  }[];
  readonly failures: LoadReport['failures'];
}

process.once('message', (order: LoadOrder) => {
  const load = startLoad(order.ports, order.perSecondAndPort);
  process.send?.('started');
  process.once('message', async () => {
    const { samples, failures } = await load.stop();
    const result: LoadResult = {
      samples: samples.map((sample) => ({
        ...sample,
        helloAt: String(sample.helloAt),
        doneAt: String(sample.doneAt),
      })),
      failures,
    };
    process.send?.(result, undefined, undefined, () => process.disconnect?.());
  });
});
