/**
 * dns-01 (RFC 8555 §8.4): TXT records at _acme-challenge of each name, by whatever can write them, and the
 * wait until every authoritative server shows them. Two values at one owner, of a name and its wildcard,
 * stand side by side.
 */
import type { Logger } from '@mail/service';
import type { ChallengeResponder, Proof } from './challenge.ts';
import { within } from './deadline.ts';
import { AcmeError } from './errors.ts';

/** dns-hook.ts and dns-update.ts. Both throw AcmeError (proof-failed, stopped). */
export interface TxtWriter {
  /** Beside what stands at `owner` already. */
  add(owner: string, text: string, signal: AbortSignal): Promise<void>;
  remove(owner: string, text: string, signal: AbortSignal): Promise<void>;
}

export interface TxtRecord {
  readonly owner: string;
  readonly text: string;
}

export interface DnsChallengeOptions {
  readonly writer: TxtWriter;
  /** Resolves once the records are to be seen, or have not been for as long as the operator allows. */
  readonly untilVisible: (records: readonly TxtRecord[], signal: AbortSignal) => Promise<void>;
  readonly logger: Logger;
}

/** For taking one away, the end of the order or of the registry notwithstanding. */
const REMOVE_MS = 30_000;

export class DnsChallenge implements ChallengeResponder {
  readonly type = 'dns-01';
  readonly #options: DnsChallengeOptions;

  constructor(options: DnsChallengeOptions) {
    this.#options = options;
  }

  async provide(proofs: readonly Proof[], signal: AbortSignal): Promise<() => Promise<void>> {
    const { writer, untilVisible } = this.#options;
    const tried: TxtRecord[] = [];
    try {
      // one after the other: hooks are not written for anything else
      for (const { name, value } of proofs) {
        const record = { owner: `_acme-challenge.${name}`, text: value };
        tried.push(record);
        await writer.add(record.owner, record.text, signal);
      }
      await untilVisible(tried, signal);
    } catch (error) {
      await this.#remove(tried);
      throw error;
    }
    return () => this.#remove(tried);
  }

  async #remove(records: readonly TxtRecord[]): Promise<void> {
    const { writer, logger } = this.#options;
    for (const { owner, text } of records) {
      try {
        const late = new AcmeError('timed-out', `it took longer than ${REMOVE_MS / 1000} s`);
        await within(REMOVE_MS, late, (signal) => writer.remove(owner, text, signal));
      } catch (error) {
        if (!(error instanceof AcmeError)) throw error;
        logger.warn({ owner, reason: error.message }, 'could not take a TXT record away');
      }
    }
  }
}
