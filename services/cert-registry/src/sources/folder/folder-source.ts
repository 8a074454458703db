/**
 * The watched folder as a source of certificates: looks, has what stands there judged and held by the
 * registry, and hands it to Arrivals. What was taken or refused last is kept, so that neither a touched file
 * nor a restart does anything.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Certificate, Rotation, Source } from '@mail/proto';
import type { Logger } from '@mail/service';
import { readBlobs } from '@mail/x509';
import { z } from 'zod';
import type { AuditTrail } from '../../audit.ts';
import { type Certificates, refusing } from '../../certificates.ts';
import { checkResultSchema } from '../../check-result-schema.ts';
import { describeOutcome, RegistryError } from '../../errors.ts';
import type { StoredValue, StoredValues } from '../../stored-values.ts';
import type { Arrivals } from '../arrivals.ts';
import type { FolderConfig } from '../config.ts';
import { withoutStop } from '../sentence.ts';
import {
  type CertificateSource,
  type RunOptions,
  sourceActor,
  type TellProgress,
} from '../source.ts';
import type { SourceStatus } from '../source-status.ts';
import { pickPair } from './folder-pair.ts';
import { type FolderFile, FolderReader, type Sight } from './folder-reader.ts';
import { type Look, type Patience, type Watched, watch } from './folder-watch.ts';

const NAME = 'folder';
const ACTOR = sourceActor(NAME);
/** Long enough between two looks to see that somebody writes. */
const LONGEST_SETTLE_MS = 2_000;
/** In times of the settling. */
const PATIENCE = 15;
/** After a fault of the registry's own. */
const FAULT_PAUSE_MS = 60_000;

export interface FolderSourceOptions {
  readonly config: FolderConfig;
  readonly certificates: Certificates;
  readonly arrivals: Arrivals;
  readonly status: SourceStatus;
  readonly storedValues: StoredValues;
  readonly audit: AuditTrail;
  readonly logger: Logger;
  /** Monotonic, milliseconds. */
  readonly monotonicNow: () => number;
}

const refusalSchema = z.object({
  code: z.enum(['invalid-argument', 'check-failed', 'precondition', 'exhausted']),
  message: z.string(),
  checks: z.array(checkResultSchema).readonly(),
});

type Refusal = Readonly<z.output<typeof refusalSchema>>;

/** What came of what lay there last; stored. */
const handledSchema = z.object({
  key: z.string(),
  refusal: refusalSchema.readonly().exactOptional(),
});

type Handled = Readonly<z.output<typeof handledSchema>>;

/** How a look is meant: by the timetable, or at once for somebody who waits. */
interface Mode {
  readonly asked: boolean;
  readonly force: boolean;
}

const BY_TIMETABLE: Mode = { asked: false, force: false };

export class FolderSource implements CertificateSource {
  readonly name = NAME;
  readonly #options: FolderSourceOptions;
  readonly #reader: FolderReader;
  readonly #patience: Patience;
  readonly #stopped = new AbortController();
  readonly #listeners = new Set<TellProgress>();
  readonly #kept: StoredValue<Handled>;
  /** As kept, unless that is to be dealt with again. */
  #handled: Handled | undefined;
  #watched: Watched | undefined;
  /** Why what is seen could not be taken, until it is reported. */
  #refusal: Refusal | undefined;
  /** What is under way: one look at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #run: { readonly ended: Promise<void>; readonly force: boolean } | undefined;

  constructor(options: FolderSourceOptions) {
    this.#options = options;
    this.#reader = new FolderReader(options.config.path, options.monotonicNow);
    const settleMs = Math.min(options.config.intervalMs, LONGEST_SETTLE_MS);
    this.#patience = { settleMs, patienceMs: settleMs * PATIENCE };
    this.#kept = options.storedValues.open('source/folder/handled', handledSchema);
    this.#handled = this.#kept.value;
    // another passphrase may have been set since
    const { checks = [] } = this.#handled?.refusal ?? {};
    if (checks.some(({ code }) => code === 'wrong-passphrase')) this.#handled = undefined;
  }

  start(): void {
    void this.#watchFolder();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#turn.catch(() => {});
  }

  run({ force }: RunOptions, tell: TellProgress): Promise<void> {
    this.#listeners.add(tell);
    if (this.#run === undefined || (force && !this.#run.force)) {
      const ended = this.#inTurn(() => this.#runNow(force));
      this.#run = { ended, force };
    }
    const run = this.#run;
    return run.ended.finally(() => {
      this.#listeners.delete(tell);
      if (this.#run === run) this.#run = undefined;
    });
  }

  describe(): Source {
    return this.#options.status.describe();
  }

  /** Until it is stopped. Never throws. */
  async #watchFolder(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const waitMs = await this.#inTurn(() => this.#lookByTimetable());
      await delay(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Resolves with when to look again. What is refused has been told, and is no reason to end. */
  async #lookByTimetable(): Promise<number> {
    const { config, logger } = this.#options;
    try {
      return (await this.#look(BY_TIMETABLE)) ? config.intervalMs : this.#patience.settleMs;
    } catch (error) {
      if (error instanceof RegistryError) return config.intervalMs;
      // such as a full disk: nothing of it can be kept, and a line each interval would fill another
      logger.error({ error, folder: config.path }, 'the watched folder could not be dealt with');
      return Math.max(config.intervalMs, FAULT_PAUSE_MS);
    }
  }

  async #runNow(force: boolean): Promise<void> {
    const { settleMs, patienceMs } = this.#patience;
    const { monotonicNow, config } = this.#options;
    const deadline = monotonicNow() + patienceMs;
    if (force) this.#handled = this.#watched = undefined;
    while (!(await this.#look({ asked: true, force }))) {
      if (monotonicNow() > deadline) {
        throw new RegistryError('precondition', `${config.path} is being written to all the time`);
      }
      const { signal } = this.#stopped;
      await delay(settleMs, undefined, { signal }).catch(() => {
        throw new RegistryError('unavailable', 'the registry is stopping');
      });
    }
  }

  /** True once there is nothing more to wait for. Throws RegistryError where what lies there is refused. */
  async #look(mode: Mode): Promise<boolean> {
    const known = this.#watched !== undefined && this.#watched.key === this.#handled?.key;
    const sight = await this.#reader.look(known && !mode.asked);
    if (this.#stopped.signal.aborted || sight.kind === 'unchanged') return true;
    const seen = watch(
      this.#watched,
      lookOf(sight),
      this.#handled?.key,
      this.#options.monotonicNow(),
      this.#patience,
    );
    this.#watched = seen.watched;
    if (seen.watched?.refused !== true) this.#refusal = undefined;
    switch (seen.step) {
      case 'rest':
        await this.#rest(sight, mode);
        return true;
      case 'wait':
        if (mode.asked && sight.kind === 'problem') this.#refuse(problemRefusal(sight.detail));
        if (mode.asked && this.#refusal !== undefined) this.#refuse(this.#refusal);
        this.#waitFor(sight.kind === 'problem' ? sight.detail : undefined);
        return false;
      case 'judge':
        return sight.kind !== 'content' || this.#judge(sight, mode);
      case 'report':
        return this.#refuse(this.#refusal ?? problemRefusal('detail' in sight ? sight.detail : ''));
    }
  }

  #waitFor(problem?: string): void {
    const missing = this.#refusal?.message;
    this.#options.status.working(
      missing === undefined
        ? `waits${problem === undefined ? ' until nobody writes' : `: ${problem}`}`
        : `waits for what is missing: ${withoutStop(missing)}`,
    );
    this.#tell();
  }

  /** What is seen has been dealt with, or is nothing. */
  async #rest(sight: Sight, { asked }: Mode): Promise<void> {
    const { status, config } = this.#options;
    const refusal = sight.kind === 'empty' ? undefined : this.#handled?.refusal;
    if (refusal === undefined) status.recovered();
    status.resting(
      sight.kind === 'empty'
        ? sight.detail
        : `${config.path} holds what was taken or refused before`,
    );
    this.#tell();
    if (!asked) return;
    if (sight.kind === 'empty') throw new RegistryError('precondition', sight.detail);
    if (refusal !== undefined) throw errorOf(refusal);
    await this.#settle();
  }

  async #judge(
    { key, files }: Extract<Sight, { kind: 'content' }>,
    { asked, force }: Mode,
  ): Promise<boolean> {
    const { arrivals, status, config } = this.#options;
    status.working(`reads ${config.path}`);
    this.#tell();
    let certificate: Certificate;
    try {
      certificate = await this.#import(files);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      const refusal = refusalOf(error, files);
      if (asked) return this.#refuse(refusal, key);
      this.#refusal = refusal;
      if (this.#watched !== undefined) this.#watched = { ...this.#watched, refused: true };
      this.#waitFor();
      return false;
    }
    if (this.#stopped.signal.aborted) return true;
    arrivals.accept({ source: NAME, certificateId: certificate.id, afresh: force });
    this.#keep({ key });
    status.succeeded();
    await this.#settle();
    return true;
  }

  async #settle(): Promise<void> {
    let last: Rotation | undefined;
    this.#tell();
    try {
      await this.#options.arrivals.resume(NAME, (rotation) => {
        last = rotation;
        this.#tell(rotation);
      });
    } finally {
      this.#tell(last);
    }
  }

  async #import(files: readonly FolderFile[]): Promise<Certificate> {
    const { certificates, audit, config, logger } = this.#options;
    const blobs = files.map(({ content }) => content);
    const material = await refusing(() => readBlobs(blobs, config.passphrase));
    const taken = await certificates.take(pickPair(material), 'from the folder', ACTOR);
    const { id } = taken.certificate;
    if (!taken.alreadyPresent && !this.#stopped.signal.aborted) {
      audit.record({ actor: ACTOR, action: 'ImportCertificate', target: id, outcome: 'ok' });
      logger.info({ certificate: id, folder: config.path }, 'took a certificate from the folder');
    }
    return taken.certificate;
  }

  /** Tells it once, and keeps it as dealt with until something else lies there. */
  #refuse(refusal: Refusal, key = this.#watched?.key): never {
    const { status, audit, logger, config } = this.#options;
    this.#refusal = undefined;
    if (key !== undefined) this.#keep({ key, refusal });
    const error = errorOf(refusal);
    status.failed(refusal.message, refusal.checks);
    const outcome = describeOutcome(error);
    audit.record({ actor: ACTOR, action: 'ImportCertificate', target: config.path, outcome });
    logger.warn(
      { folder: config.path, reason: refusal.message },
      'what lies in the folder is not taken',
    );
    this.#tell();
    throw error;
  }

  #keep(handled: Handled): void {
    this.#handled = handled;
    this.#kept.set(handled);
  }

  #tell(rotation?: Rotation): void {
    if (this.#listeners.size === 0) return;
    const source = this.describe();
    for (const tell of this.#listeners) tell(source, rotation);
  }

  #inTurn<T>(body: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(body, body);
    this.#turn = turn;
    return turn;
  }
}

function lookOf(sight: Exclude<Sight, { kind: 'unchanged' }>): Look {
  switch (sight.kind) {
    case 'content':
      return { kind: 'content', key: sight.key };
    case 'problem':
      return { kind: 'trouble', key: sight.detail };
    case 'empty':
      return { kind: 'nothing', key: '' };
    case 'moving':
      return { kind: 'content', key: undefined };
  }
}

function problemRefusal(message: string): Refusal {
  return { code: 'precondition', message, checks: [] };
}

/** Findings name the files by number; people know them by name. */
function refusalOf(error: RegistryError, files: readonly FolderFile[]): Refusal {
  const fileOf = (certificate: string) => {
    const number = /^input (\d+)$/.exec(certificate)?.[1];
    return number === undefined ? undefined : files[Number(number) - 1]?.name;
  };
  const checks = error.checks.map((check) => ({
    ...check,
    certificate: fileOf(check.certificate) ?? check.certificate,
  }));
  const [first] = error.checks;
  const file = first && fileOf(first.certificate);
  const code =
    error.code === 'invalid-argument' || error.code === 'exhausted' ? error.code : 'check-failed';
  return { code, message: file ? `${file}: ${error.message}` : error.message, checks };
}

function errorOf({ code, message, checks }: Refusal): RegistryError {
  return new RegistryError(code, message, { checks });
}
