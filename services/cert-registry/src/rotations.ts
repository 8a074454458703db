/**
 * Rotations: whether a switch may begin, and its row in the history from the first moment to the last. How
 * the fleet is moved is the coordinator's; here is what it is moved to, on whose word, and what came of it.
 */
import { randomBytes } from 'node:crypto';
import { Rotation, RotationKind, RotationState, type SubscriberOutcome } from '@mail/proto';
import { type Logger, METRICS, type Metrics } from '@mail/service';
import { type Certificates, type Evaluation, isError } from './certificates.ts';
import type { Conductor, RotationOwner } from './conductor.ts';
import { LIMITS, PROGRESS } from './config.ts';
import type { RotationView } from './coordinator.ts';
import type { CertificateRow, RegistryDatabase } from './database.ts';
import { RegistryError } from './errors.ts';
import type { KeyVault } from './key-vault.ts';
import { REGISTRY_IDENTITY } from './roles.ts';
import type { SwitchGuard } from './switch-guard.ts';
import { PLAIN_SWITCH, type SwitchOptions } from './switch-options.ts';

/** Drains survive a restart: those who missed one hear of it when they come back. */
export const DRAIN_SETTING = 'drain';
const SEED_BYTES = 32;
const NONCE_BYTES = 16;

/** What a rotation's row says that the coordinator does not know. */
interface RotationFacts {
  readonly id: bigint;
  readonly kind: RotationKind;
  readonly fromCertificateId: string;
  readonly toCertificateId: string;
  readonly actor: string;
  readonly startedAt: number;
  /** When the call came, on the monotonic clock: the time its caller has waited since. */
  readonly calledAt: bigint;
}

interface SwitchOrder {
  readonly kind: RotationKind;
  readonly row: CertificateRow;
  readonly options: SwitchOptions;
  readonly actor: string;
  readonly onProgress: (rotation: Rotation) => void;
  /** On the monotonic clock. */
  readonly calledAt: bigint;
}

export interface Preview extends Evaluation {
  readonly participants: SubscriberOutcome[];
}

export interface RotationsOptions {
  readonly database: RegistryDatabase;
  readonly vault: KeyVault;
  readonly certificates: Certificates;
  /** What has a say in switches besides the certificate; undefined where nothing has. */
  readonly guard: SwitchGuard | undefined;
  readonly conductor: () => Conductor;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
  /** Monotonic clock, nanoseconds. */
  readonly monotonicNow: () => bigint;
}

export class Rotations {
  readonly #options: RotationsOptions;
  /** The certificate of a rotation that is being checked: its checks take seconds where DNS is slow. */
  #claimed: string | undefined;
  #current: RotationFacts | undefined;
  /** Ends that a full disk has not taken yet, by rotation. */
  readonly #owedEnds = new Map<number, string>();
  #running: { ended: Promise<unknown>; reject: (error: RegistryError) => void } | undefined;
  #stopped = false;

  constructor(options: RotationsOptions) {
    this.#options = options;
    this.#beginCounting();
  }

  /** Makes the first generation, at the first start. */
  begin(row: CertificateRow): void {
    const { database } = this.#options;
    database.transaction(() => this.#writeGeneration(1, row.id, randomBytes(SEED_BYTES)));
  }

  /** The certificate that a rotation under way goes to, from its checks on. */
  get certificateInUse(): string | undefined {
    return this.#current?.toCertificateId ?? this.#claimed;
  }

  /** The rotation under way as the contract has it. */
  get current(): Rotation | undefined {
    const view = this.#options.conductor().rotation;
    return this.#current === undefined || view === undefined
      ? undefined
      : this.#describe(this.#current, view);
  }

  /** Newest first; a page ends early where it would grow too big. */
  list(limit: number, beforeId: number | undefined): Rotation[] {
    const page: Rotation[] = [];
    let bytes = 0;
    for (const row of this.#options.database.rotations(limit, beforeId)) {
      bytes += row.body.length;
      if (bytes > LIMITS.pageBytes && page.length > 0) break;
      page.push(fromRow(row));
    }
    return page;
  }

  /** What `rotate` would say, without acting. Throws RegistryError. */
  async preview(certificateId: string, options: SwitchOptions): Promise<Preview> {
    const evaluation = await this.#evaluate(certificateId, options);
    const participants = this.#options.conductor().preview(options.require);
    return { ...evaluation, participants };
  }

  /**
   * Moves the fleet to a certificate. `onProgress` hears of each change, the last being the end;
   * resolves with the end, or rejects with RegistryError when nothing was switched.
   */
  async rotate(
    certificateId: string,
    options: SwitchOptions,
    actor: string,
    onProgress: (rotation: Rotation) => void,
  ): Promise<Rotation> {
    const calledAt = this.#options.monotonicNow();
    const kind = RotationKind.ROTATION_KIND_ROTATE;
    return this.#checkAndSwitch(certificateId, { kind, options, actor, onProgress, calledAt });
  }

  /** As `rotate`, to the certificate that was active before the active one. */
  async rollback(
    options: SwitchOptions,
    actor: string,
    onProgress: (rotation: Rotation) => void,
  ): Promise<Rotation> {
    const { database } = this.#options;
    const calledAt = this.#options.monotonicNow();
    const active = this.#options.conductor().active.certificateId;
    const previous = database.certificateIdBefore(active);
    if (previous === undefined) {
      throw new RegistryError('precondition', 'no other certificate was active before this one');
    }
    if (database.certificate(previous) === undefined) {
      throw new RegistryError(
        'precondition',
        `certificate ${previous}, active before, has been deleted; import it again and rotate to it`,
      );
    }
    const kind = RotationKind.ROTATION_KIND_ROLLBACK;
    return this.#checkAndSwitch(previous, { kind, options, actor, onProgress, calledAt });
  }

  /** Rotations that a former process left open get the end that the disk knows. */
  closeLeftOpen(): void {
    const { database, logger } = this.#options;
    for (const row of database.unfinishedRotations()) {
      const rotation = fromRow(row);
      const committed = rotation.toGeneration > 0n;
      rotation.state = committed
        ? RotationState.ROTATION_STATE_INCOMPLETE
        : RotationState.ROTATION_STATE_ABORTED;
      rotation.failure = committed
        ? 'the registry stopped before all had reported'
        : 'the registry stopped before anything was switched';
      rotation.finishedAt = new Date(this.#options.now());
      database.updateRotation(row.id, toBody(rotation), true);
      logger.warn({ rotation: row.id, committed }, rotation.failure);
    }
  }

  /** As `rotate`, to the active certificate under a fresh ticket seed. */
  renewTicketSeed(): Promise<Rotation> {
    const calledAt = this.#options.monotonicNow();
    const row = this.#options.certificates.find(this.#options.conductor().active.certificateId);
    return this.#switch({
      kind: RotationKind.ROTATION_KIND_TICKET_SEED,
      row,
      options: PLAIN_SWITCH,
      actor: REGISTRY_IDENTITY.uri,
      onProgress: () => {},
      calledAt,
    });
  }

  /** Begins no more, and resolves once the one under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running?.ended;
  }

  /** Tells whoever waits for the one under way that its end will be known at the next start. */
  abandon(): void {
    const id = this.#current?.id;
    this.#running?.reject(
      new RegistryError(
        'unavailable',
        `the registry stops in the middle of rotation ${id}; its history says how it ended once it is back`,
      ),
    );
  }

  /** What speaks against a switch to it now, the guard's findings included. Throws RegistryError. */
  async #evaluate(certificateId: string, options: SwitchOptions): Promise<Evaluation> {
    const { certificates, guard } = this.#options;
    const evaluate = () =>
      certificates.evaluate(certificates.find(certificateId), options.allowNameLoss);
    if (guard === undefined) return evaluate();
    // a switch that is allowed whatever the guard sees, or refused anyhow, does not wait for it
    const { certificate, allowed } = evaluate();
    if (allowed && !options.allowTlsaMissing) await guard.look(certificate);
    const evaluation = evaluate();
    const found = guard.check(evaluation.certificate, options);
    return {
      ...evaluation,
      checks: [...evaluation.checks, ...found],
      allowed: evaluation.allowed && !found.some(isError),
    };
  }

  /** No other rotation begins from the first look at the certificate on. */
  async #checkAndSwitch(certificateId: string, order: Omit<SwitchOrder, 'row'>): Promise<Rotation> {
    this.#refuseBeside();
    this.#claimed = certificateId;
    let row: CertificateRow;
    try {
      row = await this.#fit(certificateId, order.options);
    } finally {
      this.#claimed = undefined;
    }
    // without a pause in between, in which another could begin
    return this.#switch({ ...order, row });
  }

  /** Throws RegistryError (rotation-under-way). */
  #refuseBeside(): void {
    const certificateId = this.certificateInUse;
    if (certificateId === undefined) return;
    const which = this.#current === undefined ? 'a rotation' : `rotation ${this.#current.id}`;
    throw new RegistryError(
      'rotation-under-way',
      `${which} to certificate ${certificateId} is under way; try again once it has ended`,
    );
  }

  /** Throws RegistryError (check-failed) where something speaks against it. */
  async #fit(certificateId: string, options: SwitchOptions): Promise<CertificateRow> {
    const { row, allowed, checks } = await this.#evaluate(certificateId, options);
    if (allowed) return row;
    const reasons = checks.filter(isError).map(({ message }) => message);
    throw new RegistryError('check-failed', reasons.join(' '), { checks });
  }

  /** Nothing is awaited from the check for another rotation to the coordinator's word. */
  #switch({ kind, row, options, actor, onProgress, calledAt }: SwitchOrder): Promise<Rotation> {
    const { database, certificates, logger } = this.#options;
    const conductor = this.#options.conductor();
    if (this.#stopped) throw new RegistryError('unavailable', 'the registry is stopping');
    this.#refuseBeside();
    const begun = Rotation.create({
      kind,
      state: RotationState.ROTATION_STATE_PREPARING,
      fromGeneration: conductor.active.generation,
      fromCertificateId: conductor.active.certificateId,
      toCertificateId: row.id,
      actor,
      startedAt: new Date(this.#options.now()),
      drainPrevious: options.drainGraceMs !== undefined,
    });
    const material = { ...certificates.material(row), ticketSeed: randomBytes(SEED_BYTES) };
    this.#writeOwedEnds();
    const id = BigInt(database.insertRotation(toBody(begun)));
    const facts: RotationFacts = {
      id,
      kind,
      fromCertificateId: begun.fromCertificateId,
      toCertificateId: row.id,
      actor,
      startedAt: this.#options.now(),
      calledAt,
    };
    this.#current = facts;
    logger.info({ rotation: id, certificate: row.id, actor, kind }, 'a rotation begins');
    const { promise, resolve, reject } = Promise.withResolvers<Rotation>();
    this.#running = { ended: promise.catch(() => {}), reject };
    conductor.rotate(
      {
        id,
        rotationKind: kind,
        nonce: randomBytes(NONCE_BYTES).toString('hex'),
        material,
        require: options.require,
        prepareTimeoutMs: options.prepareTimeoutMs,
        drainGraceMs: options.drainGraceMs,
      },
      this.#ownerOf(facts, options, onProgress, resolve, reject),
    );
    return promise;
  }

  #ownerOf(
    facts: RotationFacts,
    options: SwitchOptions,
    onProgress: (rotation: Rotation) => void,
    resolve: (rotation: Rotation) => void,
    reject: (error: RegistryError) => void,
  ): RotationOwner {
    const { database, logger, metrics } = this.#options;
    const conductor = this.#options.conductor();
    const progress = new Progress(() => {
      const view = conductor.rotation;
      if (view?.id === facts.id) onProgress(this.#describe(facts, view));
    });
    const end = (rotation: Rotation) => {
      progress.stop();
      this.#keepEnd(Number(facts.id), toBody(rotation));
      this.#current = undefined;
      logger.info(summaryOf(rotation), 'a rotation has ended');
      this.#count(rotation);
    };
    return {
      commit: (material) => {
        const view = conductor.rotation;
        const rotation: Rotation = {
          ...(view === undefined ? Rotation.create() : this.#describe(facts, view)),
          state: RotationState.ROTATION_STATE_COMMITTED,
          toGeneration: material.generation,
        };
        const number = Number(material.generation);
        try {
          database.transaction(() => {
            this.#writeGeneration(number, material.certificateId, material.ticketSeed);
            database.updateRotation(Number(facts.id), toBody(rotation), false);
            if (options.drainGraceMs !== undefined) {
              const drain = { belowGeneration: number, graceMs: options.drainGraceMs };
              database.setSetting(DRAIN_SETTING, JSON.stringify(drain));
            }
          });
        } catch (error) {
          metrics.counter(METRICS.commitFailures).inc();
          throw error;
        }
        this.showActive();
      },
      // a view of the rotation costs a walk over all its participants: not for each of their answers
      changed: (what) => progress.changed(what, conductor.connected),
      refused: (_, detail) => {
        const rotation = Rotation.create({
          ...factsAsMessage(facts),
          state: RotationState.ROTATION_STATE_ABORTED,
          fromGeneration: conductor.active.generation,
          finishedAt: new Date(this.#options.now()),
          failure: detail,
        });
        end(rotation);
        reject(new RegistryError('precondition', detail));
      },
      finished: (view) => {
        const rotation = this.#describe(facts, view);
        end(rotation);
        if (rotation.state === RotationState.ROTATION_STATE_ABORTED) {
          reject(new RegistryError('rotation-aborted', rotation.failure, { rotation }));
          return;
        }
        onProgress(rotation);
        resolve(rotation);
      },
    };
  }

  /** It has ended whether or not that can be written: what the disk does not take is owed to it. */
  #keepEnd(id: number, body: string): void {
    this.#owedEnds.set(id, body);
    try {
      this.#writeOwedEnds();
    } catch (error) {
      this.#options.logger.error({ error, rotation: id }, 'the end of a rotation is not written');
    }
  }

  #writeOwedEnds(): void {
    for (const [id, body] of this.#owedEnds) {
      this.#options.database.updateRotation(id, body, true);
      this.#owedEnds.delete(id);
    }
  }

  #writeGeneration(number: number, certificateId: string, ticketSeed: Uint8Array): void {
    const { database, vault } = this.#options;
    const sealedSeed = vault.seal(seedRecord(number), ticketSeed);
    database.insertGeneration({
      number,
      certificateId,
      sealedSeed,
      committedAt: this.#options.now(),
    });
  }

  #describe(facts: RotationFacts, view: RotationView): Rotation {
    const sinceCall = (at: bigint | undefined) =>
      at === undefined ? 0 : Number(at - facts.calledAt) / 1e6;
    return {
      ...Rotation.create(factsAsMessage(facts)),
      state: view.state,
      fromGeneration: view.fromGeneration,
      toGeneration: view.toGeneration,
      finishedAt: view.finishedAt === undefined ? undefined : new Date(this.#options.now()),
      outcomes: [...view.outcomes],
      skewMs: Number(view.skewNs) / 1e6,
      commitMs: sinceCall(view.committedAt),
      activatedMs: sinceCall(view.activatedAt),
      verifiedMs: sinceCall(view.verifiedAt),
      failure: view.failure,
      drainPrevious: view.drainPrevious,
    };
  }

  /** Puts what is in force into the metrics. */
  showActive(): void {
    const { database, certificates, metrics } = this.#options;
    const generation = database.activeGeneration();
    const { notBefore, notAfter } = certificates.active() ?? {};
    const seconds = (date: Date | undefined) => (date?.getTime() ?? 0) / 1000;
    metrics.gauge(METRICS.generation).set(generation?.number ?? 0);
    metrics.gauge(METRICS.lastSwitch).set((generation?.committedAt ?? 0) / 1000);
    metrics.gauge(METRICS.certificateNotBefore).set(seconds(notBefore));
    metrics.gauge(METRICS.certificateExpiry).set(seconds(notAfter));
  }

  /** Rates want counters that were 0 before they were 1. */
  #beginCounting(): void {
    const rotations = this.#options.metrics.counter(METRICS.rotations);
    for (const kind of KIND_NAMES.values()) {
      for (const outcome of STATE_NAMES.values()) rotations.inc({ kind, outcome }, 0);
    }
    this.#options.metrics.counter(METRICS.commitFailures).inc(0);
  }

  #count(rotation: Rotation): void {
    const { metrics } = this.#options;
    const outcome = STATE_NAMES.get(rotation.state);
    const kind = KIND_NAMES.get(rotation.kind);
    if (outcome === undefined || kind === undefined) return;
    metrics.counter(METRICS.rotations).inc({ kind, outcome });
    if (rotation.toGeneration === 0n) return;
    const skew = rotation.skewMs / 1000;
    const duration = rotation.verifiedMs / 1000;
    metrics.histogram(METRICS.rotationSkew).observe(skew);
    metrics.gauge(METRICS.lastSwitchSkew).set(skew);
    metrics.gauge(METRICS.lastSwitchDuration).set(duration);
    if (duration > 0) metrics.histogram(METRICS.rotationDuration).observe(duration);
  }
}

const KIND_NAMES: ReadonlyMap<RotationKind, string> = new Map([
  [RotationKind.ROTATION_KIND_ROTATE, 'rotate'],
  [RotationKind.ROTATION_KIND_ROLLBACK, 'rollback'],
  [RotationKind.ROTATION_KIND_TICKET_SEED, 'ticket_seed'],
]);

const STATE_NAMES: ReadonlyMap<RotationState, string> = new Map([
  [RotationState.ROTATION_STATE_VERIFIED, 'verified'],
  [RotationState.ROTATION_STATE_INCOMPLETE, 'incomplete'],
  [RotationState.ROTATION_STATE_ABORTED, 'aborted'],
]);

/** The name under which the vault seals a generation's ticket seed. */
export function seedRecord(generation: number): string {
  return `generation/${generation}`;
}

function factsAsMessage({ calledAt: _, startedAt, ...facts }: RotationFacts) {
  return { ...facts, startedAt: new Date(startedAt) };
}

function toBody(rotation: Rotation): string {
  return JSON.stringify(Rotation.toJSON(rotation));
}

/** The first body is written before the row has its id. */
function fromRow({ id, body }: { id: number; body: string }): Rotation {
  return { ...Rotation.fromJSON(JSON.parse(body)), id: BigInt(id) };
}

function summaryOf(rotation: Rotation) {
  const { id, toGeneration, toCertificateId, failure, skewMs, verifiedMs, outcomes } = rotation;
  return {
    rotation: id,
    outcome: STATE_NAMES.get(rotation.state),
    generation: toGeneration,
    certificate: toCertificateId,
    subscribers: outcomes.length,
    skewMs,
    verifiedMs,
    ...(failure === '' ? {} : { failure }),
  };
}

/**
 * Tells each change of a small fleet. Of a large one, whose every view is large, it tells each state, and
 * what comes of the single subscribers from time to time.
 */
class Progress {
  readonly #tell: () => void;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(tell: () => void) {
    this.#tell = tell;
  }

  changed(what: 'state' | 'outcome', subscribers: number): void {
    if (this.#stopped) return;
    if (what === 'state' || subscribers <= PROGRESS.smallFleet) {
      this.#tell();
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#tell();
    }, PROGRESS.msPerSubscriber * subscribers);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
