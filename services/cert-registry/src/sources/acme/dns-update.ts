/** TXT records written by dynamic updates of the zone (RFC 2136), signed by TSIG. */
import { DnsError } from '../../dns/errors.ts';
import type { DnsServer } from '../../dns/server.ts';
import type { TsigKey } from '../../dns/tsig.ts';
import { updateZone } from '../../dns/update.ts';
import type { TxtWriter } from './dns-challenge.ts';
import { AcmeError } from './errors.ts';
import { stopReason } from './transport.ts';

/** They are of use for a minute, and no cache should keep that there was none. */
const TTL_S = 60;

export interface DnsUpdateOptions {
  readonly server: DnsServer;
  readonly zone: string;
  readonly key: TsigKey;
}

export class DnsUpdate implements TxtWriter {
  readonly #options: DnsUpdateOptions;

  constructor(options: DnsUpdateOptions) {
    this.#options = options;
  }

  add(owner: string, text: string, signal: AbortSignal): Promise<void> {
    return this.#change('add', owner, text, signal);
  }

  remove(owner: string, text: string, signal: AbortSignal): Promise<void> {
    return this.#change('remove', owner, text, signal);
  }

  async #change(
    action: 'add' | 'remove',
    owner: string,
    text: string,
    signal: AbortSignal,
  ): Promise<void> {
    const record = { type: 'TXT', name: owner, ttl: TTL_S, text } as const;
    try {
      await updateZone({ ...this.#options, changes: [{ action, record }], signal });
    } catch (cause) {
      if (signal.aborted) throw stopReason(signal);
      if (!(cause instanceof DnsError)) throw cause;
      throw new AcmeError('proof-failed', cause.message, { cause });
    }
  }
}
