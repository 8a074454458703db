/**
 * Arrivals: certificates that sources have brought and the registry holds, on their way into force. Keeps
 * the newest of each source, across restarts, and carries out the source's policy; a switch that could not
 * be made is tried again here. What to do when is arrival-plan.ts's; how certificates are found is the
 * sources'.
 */
import type { CheckResult, Rotation } from '@mail/proto';
import type { Logger } from '@mail/service';
import type { AuditTrail } from '../audit.ts';
import type { Certificates } from '../certificates.ts';
import type { RegistryDatabase } from '../database.ts';
import { describeOutcome, RegistryError, refusalIn } from '../errors.ts';
import type { RequiredNames } from '../required-names.ts';
import type { Rotations } from '../rotations.ts';
import type { StoredValue, StoredValues } from '../stored-values.ts';
import { PLAIN_SWITCH, type SwitchOptions } from '../switch-options.ts';
import {
  type Arrival,
  type ArrivalPolicy,
  afterFailure,
  arrivalSchema,
  type Plan,
  planFor,
  type Surroundings,
  type Trouble,
} from './arrival-plan.ts';
import type { MaintenanceWindow } from './maintenance-window.ts';
import { withoutStop } from './sentence.ts';
import { type SourceName, sourceActor } from './source.ts';

/** While an arrival waits for something, how often the state is looked at: clocks are set, hands act. */
const LOOK_MS = 1_000;

export interface ArrivalsOptions {
  readonly database: RegistryDatabase;
  readonly storedValues: StoredValues;
  readonly certificates: Certificates;
  readonly rotations: Rotations;
  readonly requiredNames: RequiredNames;
  readonly audit: AuditTrail;
  readonly logger: Logger;
  /** Of the sources that are switched on; arrivals of others rest. */
  readonly policies: ReadonlyMap<SourceName, ArrivalPolicy>;
  /** Set where one of the policies is `window`. */
  readonly window: MaintenanceWindow | undefined;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly onFatal: (error: unknown) => void;
}

/** How the newest arrival of a source stands, for its Source message. */
export interface Standing {
  readonly phase: 'done' | 'switching' | 'staged' | 'waiting' | 'refused';
  readonly certificateId: string;
  /** One sentence for people. */
  readonly detail: string;
  readonly nextActionAt: number | undefined;
  readonly failures: number;
  readonly lastFailureAt: number | undefined;
  readonly checks: readonly CheckResult[];
}

/** An order names what the operator wants: a name that was taken off is meant to go. Files just come. */
const SWITCHES: Record<SourceName, SwitchOptions> = {
  acme: { ...PLAIN_SWITCH, allowNameLoss: true },
  folder: PLAIN_SWITCH,
};

/** Told of each change of the switch; undefined where something else has changed. */
export type TellSwitch = (rotation: Rotation | undefined) => void;

export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #kept: ReadonlyMap<SourceName, StoredValue<Arrival>>;
  /** The switch that is being made for a source. */
  readonly #switching = new Map<SourceName, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #started = false;
  #stopped = false;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
    this.#kept = new Map(
      [...options.policies.keys()].map((source) => [
        source,
        options.storedValues.open(`source/${source}/arrival`, arrivalSchema),
      ]),
    );
  }

  /** Goes on where the last process was. */
  start(): void {
    this.#started = true;
    this.#look();
  }

  /** Begins no switch more; resolves once the one under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await Promise.all([...this.#switching.values()].map((one) => one.catch(() => {})));
  }

  /**
   * Takes over a certificate that the registry holds, in place of whatever the source brought before.
   * Resolves when it is in force, staged, or waits for its window, its TLSA record or the end of another
   * rotation. Rejects with RegistryError when a check or a subscriber refused it; where time, an operator
   * or the fleet may mend that, it is tried again all the same, with nobody waiting.
   *
   * A certificate that the source handed over last time goes on as it stands, so that a source that was
   * interrupted may repeat the call; `afresh` makes it an arrival of its own, after a rollback for one.
   */
  async settle(request: SettleRequest, tell: TellSwitch = () => {}): Promise<void> {
    this.accept(request);
    tell(undefined);
    await this.resume(request.source, tell);
  }

  /** The first half of `settle`: once it returns, the arrival is kept. Throws what the database throws. */
  accept({ source, certificateId, afresh = false }: SettleRequest): void {
    if (!afresh && this.#load(source)?.certificateId === certificateId) return;
    this.#valueOf(source).setDurably(this.#arrivalOf(certificateId));
    this.#arm();
  }

  /**
   * The second half, for what arrived last; does not wait out a back-off. Resolves at once where there is
   * nothing.
   */
  async resume(source: SourceName, tell: TellSwitch = () => {}): Promise<void> {
    // one that was begun for what came before must not be taken for ours
    await this.#switching.get(source)?.catch(() => {});
    const arrival = this.#load(source);
    if (this.#stopped || arrival === undefined) return;
    if (arrival.trouble?.waitsFor === 'another-try') {
      this.#save(source, { ...arrival, trouble: { ...arrival.trouble, retryAt: 0 } });
    }
    const plan = this.#planOf(source);
    if (plan?.kind === 'refused') {
      const { message, checks } = plan.trouble;
      throw new RegistryError('check-failed', message, { checks });
    }
    if (plan?.kind === 'switch') await this.#switch(source, tell);
    this.#arm();
  }

  /** Undefined where the source has brought nothing yet, or an operator has deleted it. */
  standing(source: SourceName): Standing | undefined {
    const arrival = this.#load(source);
    const plan = this.#planOf(source);
    if (arrival === undefined || plan === undefined || plan.kind === 'gone') return undefined;
    const { certificateId, failures, trouble } = arrival;
    const switching = this.#switching.has(source);
    return {
      ...describePlan(plan, arrival, switching),
      certificateId,
      failures: plan.kind === 'done' ? 0 : failures,
      lastFailureAt: failures > 0 ? trouble?.at : undefined,
      checks: plan.kind === 'done' ? [] : (trouble?.checks ?? []),
    };
  }

  #look(): void {
    for (const source of this.#options.policies.keys()) {
      if (this.#switching.has(source) || this.#planOf(source)?.kind !== 'switch') continue;
      // told in the log and the audit trail; nobody waits for it
      this.#switch(source, () => {}).catch((error) => {
        if (!(error instanceof RegistryError)) this.#options.onFatal(error);
      });
    }
    this.#arm();
  }

  #arm(): void {
    if (!this.#started || this.#stopped) return;
    clearTimeout(this.#timer);
    const waits = [...this.#options.policies.keys()].flatMap((source) => {
      const plan = this.#planOf(source);
      if (plan === undefined || plan.kind === 'done' || plan.kind === 'gone') return [];
      return plan.kind === 'wait' ? [plan.until - this.#options.now()] : [LOOK_MS];
    });
    if (waits.length === 0) return;
    const delay = Math.min(LOOK_MS, ...waits.map((wait) => Math.max(wait, 0)));
    this.#timer = setTimeout(() => this.#look(), delay);
  }

  /** Puts what the source brought last in force. Throws RegistryError. */
  async #switch(source: SourceName, tell: TellSwitch): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#switching.set(source, promise);
    try {
      await this.#rotate(source, tell);
    } finally {
      this.#switching.delete(source);
      resolve();
      this.#arm();
    }
  }

  async #rotate(source: SourceName, tell: TellSwitch): Promise<void> {
    const { rotations, certificates, audit } = this.#options;
    const arrival = this.#load(source);
    if (arrival === undefined) return;
    const { certificateId } = arrival;
    const validFrom = certificates.get(certificateId).certificate.notBefore?.getTime() ?? 0;
    const actor = sourceActor(source);
    let rotation: Rotation;
    try {
      rotation = await rotations.rotate(certificateId, SWITCHES[source], actor, tell);
    } catch (error) {
      if (this.#stopped) throw error;
      const refusal = this.#refusalOf(error);
      const { waitsFor } = this.#fail(source, arrival, refusal, validFrom);
      if (waitsFor !== undefined && waitsFor !== 'another-try') return;
      throw refusal;
    }
    // the database may be closed by then; the next start sees what is in force
    if (this.#stopped) return;
    const { toGeneration } = rotation;
    const newer = this.#newerThan(source, arrival);
    // whatever came meanwhile is not overruled by what it takes the place of
    if (newer !== undefined) {
      this.#save(source, { ...newer, generation: Number(toGeneration), activeId: certificateId });
    } else {
      this.#save(source, { ...withoutTrouble(arrival), acted: true });
    }
    const target = `${certificateId} as generation ${toGeneration}`;
    audit.record({ actor, action: 'RotateCertificate', target, outcome: 'ok' });
  }

  /** Keeps and tells what stood in the way. */
  #fail(
    source: SourceName,
    arrival: Arrival,
    error: RegistryError,
    validFrom: number,
  ): Pick<Trouble, 'waitsFor'> {
    const { now, random, audit, logger } = this.#options;
    const basis = this.#basis();
    const failed = afterFailure(arrival, error, { now: now(), basis, validFrom, random: random() });
    if (this.#newerThan(source, arrival) === undefined) this.#save(source, failed);
    const { waitsFor, retryAt } = failed.trouble ?? {};
    // another rotation is no news, and a check that goes on saying the same each minute is told once
    if (waitsFor !== 'rotation' && !sameTrouble(arrival, failed)) {
      const target = arrival.certificateId;
      const outcome = describeOutcome(error);
      audit.record({ actor: sourceActor(source), action: 'RotateCertificate', target, outcome });
      logger.warn(
        { source, certificate: target, reason: error.message, retryAt },
        'a certificate that arrived could not be put in force',
      );
    }
    return waitsFor === undefined ? {} : { waitsFor };
  }

  /** What has come while `arrival` was being switched to. */
  #newerThan(source: SourceName, arrival: Arrival): Arrival | undefined {
    const kept = this.#load(source);
    const same =
      kept?.certificateId === arrival.certificateId && kept.arrivedAt === arrival.arrivedAt;
    return same ? undefined : kept;
  }

  /** What may be over by the next try, such as a full disk, is no reason to give up. */
  #refusalOf(thrown: unknown): RegistryError {
    const error = refusalIn(thrown);
    if (error instanceof RegistryError) return error;
    this.#options.logger.error({ error }, 'a switch failed by a fault of the registry');
    return new RegistryError('unavailable', 'the switch failed; the registry has logged why', {
      cause: error,
    });
  }

  #arrivalOf(certificateId: string): Arrival {
    const { database, now } = this.#options;
    const { number = 0, certificateId: activeId = '' } = database.activeGeneration() ?? {};
    const arrivedAt = now();
    return { certificateId, arrivedAt, generation: number, activeId, acted: false, failures: 0 };
  }

  #planOf(source: SourceName): Plan | undefined {
    const policy = this.#options.policies.get(source);
    const arrival = this.#load(source);
    if (policy === undefined || arrival === undefined) return undefined;
    return planFor(arrival, this.#surroundings(arrival, policy));
  }

  #surroundings(arrival: Arrival, policy: ArrivalPolicy): Surroundings {
    const { database, certificates, rotations, window, now } = this.#options;
    const active = certificates.active();
    const certificateId = active?.id ?? '';
    return {
      now: now(),
      policy,
      window,
      held: database.certificate(arrival.certificateId) !== undefined,
      active: {
        certificateId,
        expiresAt: active?.notAfter?.getTime() ?? 0,
        provisional: database.firstCertificateId() === certificateId,
      },
      inForceSince: database.certificateIdsSince(arrival.generation),
      rotationUnderWay: rotations.certificateInUse !== undefined,
      basis: this.#basis(),
    };
  }

  #basis(): string {
    const { requiredNames, certificates, now } = this.#options;
    const active = certificates.active();
    // one that has ended holds no names any more
    const ended = (active?.notAfter?.getTime() ?? 0) <= now();
    return JSON.stringify([requiredNames.get(), active?.id, ended]);
  }

  #load(source: SourceName): Arrival | undefined {
    return this.#kept.get(source)?.value;
  }

  /** Holds at once, also where a full disk does not take it yet: the next start would only try again. */
  #save(source: SourceName, arrival: Arrival): void {
    this.#valueOf(source).set(arrival);
  }

  #valueOf(source: SourceName): StoredValue<Arrival> {
    const value = this.#kept.get(source);
    if (value === undefined) throw new Error(`the source ${source} is not switched on`);
    return value;
  }
}

export interface SettleRequest {
  readonly source: SourceName;
  readonly certificateId: string;
  readonly afresh?: boolean;
}

function withoutTrouble({ trouble: _, ...arrival }: Arrival): Arrival {
  return { ...arrival, failures: 0 };
}

function sameTrouble({ trouble: before }: Arrival, { trouble: after }: Arrival): boolean {
  const codes = (checks: readonly CheckResult[] = []) => checks.map(({ code }) => code).join();
  const told = codes(before?.checks);
  return told !== '' && told === codes(after?.checks) && before?.basis === after?.basis;
}

function describePlan(
  plan: Exclude<Plan, { kind: 'gone' }>,
  { certificateId, trouble }: Arrival,
  switching: boolean,
): Pick<Standing, 'phase' | 'detail' | 'nextActionAt'> {
  const nextActionAt = undefined;
  if (switching || plan.kind === 'switch') {
    return { phase: 'switching', detail: `switching to ${certificateId}`, nextActionAt };
  }
  switch (plan.kind) {
    case 'done': {
      const more = plan.inForce ? '' : ', and another certificate is now';
      const detail = `what it brought last ${plan.inForce ? 'is' : 'has been'} in force${more}`;
      return { phase: 'done', detail, nextActionAt };
    }
    case 'staged': {
      const why =
        plan.why === 'policy'
          ? 'the policy leaves the switch to an operator'
          : 'another certificate was put in force since it came';
      return {
        phase: 'staged',
        detail: `${why}: concert cert rotate ${certificateId}`,
        nextActionAt,
      };
    }
    case 'refused':
      return { phase: 'refused', detail: withoutStop(plan.trouble.message), nextActionAt };
    case 'wait':
      return { phase: 'waiting', detail: describeWait(plan, trouble), nextActionAt: plan.until };
  }
}

function describeWait(
  { waitsFor, until }: Extract<Plan, { kind: 'wait' }>,
  trouble: Trouble | undefined,
): string {
  const at = new Date(until).toISOString();
  switch (waitsFor) {
    case 'window':
      return `the maintenance window opens ${at}`;
    case 'rotation':
      return 'another rotation is under way';
    case 'another-try':
    case 'tlsa':
    case 'validity':
      return `${withoutStop(trouble?.message ?? 'the switch was not made')}; tried again ${at}`;
  }
}
