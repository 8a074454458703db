/**
 * Watches the TLSA records of the owner names, remembers across restarts since when each has been there, and
 * says what that means for switches, lists and warnings. Lookups and timers are here; what they mean is in
 * visibility.ts.
 */
import type { Certificate, CheckResult, TlsaRecord } from '@mail/proto';
import type { Logger } from '@mail/service';
import { DnsError } from '../dns/errors.ts';
import type { SwitchGuard } from '../switch-guard.ts';
import type { SwitchOptions } from '../switch-options.ts';
import type { Warning } from '../warnings.ts';
import { associationOf, presentation } from './association.ts';
import { daneWarnings, type NextKey } from './dane-warnings.ts';
import { daneChecks } from './guard.ts';
import { keep, recall, type SettingsMemory } from './memory.ts';
import { tlsaRecords } from './tlsa-records.ts';
import {
  afterAnswer,
  afterFailure,
  nextLookupMs,
  type OwnerView,
  type Sighting,
  type TlsaAnswer,
} from './visibility.ts';

/** An answer this fresh is not asked for again. */
const FRESH_MS = 500;

/** Of the registry, what the watch goes by. */
export interface DaneKeys {
  readonly active: () => Certificate | undefined;
  /** Newest first. */
  readonly held: (options: { readonly chains: boolean }) => readonly Certificate[];
  readonly next: () => readonly NextKey[];
}

export interface DaneWatchOptions {
  readonly owners: readonly string[];
  /** Throws DnsError. */
  readonly lookUp: (owner: string, signal: AbortSignal) => Promise<TlsaAnswer>;
  readonly keys: DaneKeys;
  readonly memory: SettingsMemory;
  readonly logger: Logger;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
  /** 0 to 1. */
  readonly random: () => number;
  readonly onFatal: (error: unknown) => void;
}

export class DaneWatch implements SwitchGuard {
  readonly #options: DaneWatchOptions;
  readonly #views: Map<string, OwnerView>;
  readonly #lookups = new Map<string, Promise<void>>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #stopping = new AbortController();
  #unkept = false;

  constructor(options: DaneWatchOptions) {
    this.#options = options;
    this.#views = new Map(options.owners.map((owner) => [owner, recall(options.memory, owner)]));
  }

  start(): void {
    for (const owner of this.#views.keys()) this.#lookUp(owner);
  }

  /** Ends lookups under way. Resolves when nothing of it runs. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.all(this.#lookups.values());
  }

  /** Also at records that have settled: they may be gone since. */
  async look(certificate: Certificate): Promise<void> {
    const { now, keys } = this.#options;
    // under the key that is in force now nothing is refused
    if (certificate.spkiSha256 === keys.active()?.spkiSha256) return;
    const old = [...this.#views.values()].filter(
      // a clock that was set back makes nothing fresh
      ({ answeredAt = Number.NEGATIVE_INFINITY }) => Math.abs(now() - answeredAt) > FRESH_MS,
    );
    await Promise.all(old.map(({ owner }) => this.#lookUp(owner)));
  }

  check(certificate: Certificate, options: Pick<SwitchOptions, 'allowTlsaMissing'>): CheckResult[] {
    const { now, keys } = this.#options;
    if (certificate.chainPem === '') return [];
    // under the key that is in force now, nothing gets worse
    const sameKey = certificate.spkiSha256 === keys.active()?.spkiSha256;
    const refuse = !options.allowTlsaMissing && !sameKey;
    return daneChecks(certificate, [...this.#views.values()], now(), refuse);
  }

  records(): TlsaRecord[] {
    const { keys, now } = this.#options;
    const views = [...this.#views.values()];
    const nextSpkis = keys.next().map(({ spkiSha256 }) => spkiSha256);
    // only records over something else than a key want chains
    const chains = views.some(({ sightings }) => sightings.some(isOverMore));
    return tlsaRecords({ held: keys.held({ chains }), nextSpkis }, views, now());
  }

  warnings(): Warning[] {
    const { keys, now } = this.#options;
    const subject = { active: keys.active(), nextKeys: keys.next() };
    return daneWarnings(subject, [...this.#views.values()], now());
  }

  /** Joins a lookup of that owner that is under way. Never rejects. */
  #lookUp(owner: string): Promise<void> {
    const { onFatal, random } = this.#options;
    const running = this.#lookups.get(owner);
    if (running !== undefined || this.#stopping.signal.aborted) return running ?? Promise.resolve();
    clearTimeout(this.#timers.get(owner));
    const lookup = this.#see(owner)
      .catch(onFatal)
      .finally(() => {
        this.#lookups.delete(owner);
        const view = this.#views.get(owner);
        if (this.#stopping.signal.aborted || view === undefined) return;
        const timer = setTimeout(() => this.#lookUp(owner), nextLookupMs(view, random()));
        this.#timers.set(owner, timer);
      });
    this.#lookups.set(owner, lookup);
    return lookup;
  }

  /** Rejects only with what is nobody's but a fault. */
  async #see(owner: string): Promise<void> {
    const { lookUp, memory, logger, now } = this.#options;
    const { signal } = this.#stopping;
    let answer: TlsaAnswer;
    try {
      answer = await lookUp(owner, signal);
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      if (!signal.aborted) this.#replace(owner, (view) => afterFailure(view, error.message));
      return;
    }
    if (signal.aborted) return;
    const view = this.#replace(owner, (before) => afterAnswer(before, answer, now()));
    try {
      keep(memory, view);
      this.#unkept = false;
    } catch (error) {
      // such as a full disk: known in memory all the same, and told once
      if (!this.#unkept) logger.warn({ owner, error }, 'cannot keep what was seen of TLSA records');
      this.#unkept = true;
    }
  }

  #replace(owner: string, change: (view: OwnerView) => OwnerView): OwnerView {
    const before = this.#views.get(owner);
    if (before === undefined) throw new Error(`${owner} is not watched`);
    const after = change(before);
    this.#views.set(owner, after);
    this.#tell(before, after);
    return after;
  }

  #tell(before: OwnerView, after: OwnerView): void {
    const { logger } = this.#options;
    const { owner, problem, authenticated, sightings } = after;
    if (problem !== '' && before.problem === '') {
      logger.warn({ owner, problem }, 'cannot look up TLSA records');
    }
    if (problem === '' && before.problem !== '') {
      logger.info({ owner }, 'TLSA records can be looked up again');
    }
    const records = (view: OwnerView) =>
      view.sightings.map(({ association }) => presentation(association)).sort();
    const seen = records(after);
    if (seen.join() !== records(before).join()) {
      logger.info({ owner, records: seen }, 'the TLSA records have changed');
    }
    if (
      sightings.length > 0 &&
      !authenticated &&
      (before.authenticated || before.sightings.length === 0)
    ) {
      logger.warn({ owner }, 'DNSSEC does not vouch for these TLSA records, the resolver says');
    }
  }
}

function isOverMore({ association }: Sighting): boolean {
  return presentation(association) !== presentation(associationOf(association.data));
}
