/**
 * What is to be done about a certificate that a source has brought: pure. From what is kept of the arrival
 * and how the registry stands to the next step, and from a refusal to what is kept then. arrivals.ts asks
 * and acts.
 */
import { z } from 'zod';
import { isError } from '../certificates.ts';
import { checkResultSchema } from '../check-result-schema.ts';
import { TLSA_CHECK } from '../dane/guard.ts';
import type { RegistryError } from '../errors.ts';
import type { MaintenanceWindow } from './maintenance-window.ts';

/** What a source's certificates are for: a switch at once, in the window, or by an operator's hand. */
export type ArrivalPolicy = 'rotate' | 'window' | 'stage';

/** Why it could not be put in force when that was tried last. */
const troubleSchema = z.object({
  /** For the operator. */
  message: z.string(),
  checks: z.array(checkResultSchema).readonly(),
  at: z.number(),
  /** When to try again; absent where the checks have refused it for good. */
  retryAt: z.number().exactOptional(),
  waitsFor: z.enum(['another-try', 'rotation', 'tlsa', 'validity']).exactOptional(),
  /** What the checks went by: only something else is worth another try. */
  basis: z.string(),
});

export type Trouble = Readonly<z.output<typeof troubleSchema>>;

/** Kept in the database, one for each source. Times are milliseconds since the epoch. */
export const arrivalSchema = z.object({
  certificateId: z.string(),
  arrivedAt: z.number(),
  /** What was in force as it came. */
  generation: z.number(),
  activeId: z.string(),
  /** It has been in force, which ends the matter whatever an operator does afterwards. */
  acted: z.boolean(),
  /** Tries in a row that failed. */
  failures: z.number(),
  trouble: troubleSchema.readonly().exactOptional(),
});

export type Arrival = Readonly<z.output<typeof arrivalSchema>>;

/** How things stand as the plan is made. */
export interface Surroundings {
  readonly now: number;
  readonly policy: ArrivalPolicy;
  /** Set where the policy is `window`. */
  readonly window: MaintenanceWindow | undefined;
  /** Whether the registry holds the certificate still. */
  readonly held: boolean;
  readonly active: {
    readonly certificateId: string;
    readonly expiresAt: number;
    /** The one that the registry made at its first start. */
    readonly provisional: boolean;
  };
  /** The certificates of all generations since the arrival. */
  readonly inForceSince: readonly string[];
  readonly rotationUnderWay: boolean;
  /** As Trouble has it. */
  readonly basis: string;
}

export type Plan =
  | { readonly kind: 'switch' }
  /** It is in force, or has been. */
  | { readonly kind: 'done'; readonly inForce: boolean }
  /** An operator has deleted it. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'staged'; readonly why: 'policy' | 'overruled' }
  | { readonly kind: 'refused'; readonly trouble: Trouble }
  | {
      readonly kind: 'wait';
      readonly until: number;
      readonly waitsFor: 'window' | NonNullable<Trouble['waitsFor']>;
    };

/** How soon to look whether the rotation that was in the way has ended. */
const ROTATION_LOOK_MS = 1_000;
const TLSA_RETRY_MS = 60_000;
const RETRY = { firstMs: 30_000, mostMs: 3_600_000, jitter: 0.2 } as const;

/** What time alone mends, as TLSA_CHECK. */
const VALIDITY_CHECK = 'not-yet-valid';

export function planFor(arrival: Arrival, now: Surroundings): Plan {
  const { certificateId, activeId, trouble } = arrival;
  const inForce = certificateId === now.active.certificateId;
  if (arrival.acted || inForce || now.inForceSince.includes(certificateId)) {
    return { kind: 'done', inForce };
  }
  if (!now.held) return { kind: 'gone' };
  // whoever has switched since then knew of it or did not: an operator's hand is not undone by itself
  const overruled = now.inForceSince.some((id) => id !== activeId);
  if (overruled && now.active.expiresAt > now.now) return { kind: 'staged', why: 'overruled' };
  if (now.policy === 'stage') return { kind: 'staged', why: 'policy' };
  if (trouble !== undefined && trouble.retryAt === undefined && trouble.basis === now.basis) {
    return { kind: 'refused', trouble };
  }
  const opensAt = waitForWindow(now);
  if (opensAt !== undefined) return { kind: 'wait', until: opensAt, waitsFor: 'window' };
  if (trouble?.retryAt !== undefined && trouble.at <= now.now && now.now < trouble.retryAt) {
    return {
      kind: 'wait',
      until: trouble.retryAt,
      waitsFor: trouble.waitsFor ?? 'another-try',
    };
  }
  if (now.rotationUnderWay) {
    return { kind: 'wait', until: now.now + ROTATION_LOOK_MS, waitsFor: 'rotation' };
  }
  return { kind: 'switch' };
}

/** When the window opens, undefined where there is no reason to wait for it. */
function waitForWindow({ policy, window, now, active }: Surroundings): number | undefined {
  if (policy !== 'window' || window === undefined || active.provisional) return undefined;
  const next = window.next(now);
  if (next.opensAt <= now || active.expiresAt <= next.closesAt) return undefined;
  return next.opensAt;
}

/** `arrival` once a switch to it was refused. `random` is from 0 to below 1. */
export function afterFailure(
  arrival: Arrival,
  error: Pick<RegistryError, 'code' | 'message' | 'checks'>,
  {
    now,
    basis,
    validFrom,
    random,
  }: {
    readonly now: number;
    readonly basis: string;
    /** The certificate's begin of validity. */
    readonly validFrom: number;
    readonly random: number;
  },
): Arrival {
  const { message, checks } = error;
  const trouble: Trouble = { message, checks, at: now, basis };
  if (error.code === 'rotation-under-way') {
    const retryAt = now + ROTATION_LOOK_MS;
    return { ...arrival, trouble: { ...trouble, retryAt, waitsFor: 'rotation' } };
  }
  if (error.code === 'check-failed') {
    const codes = new Set(checks.filter(isError).map(({ code }) => code));
    const late = codes.delete(TLSA_CHECK);
    const early = codes.delete(VALIDITY_CHECK);
    if (codes.size > 0 || !(late || early)) {
      return { ...arrival, failures: arrival.failures + 1, trouble };
    }
    // neither is a failure: it is the ordinary course of things that takes its time
    const retryAt = early ? Math.max(validFrom, now + RETRY.firstMs) : now + TLSA_RETRY_MS;
    const waitsFor = early ? 'validity' : 'tlsa';
    return { ...arrival, failures: 0, trouble: { ...trouble, retryAt, waitsFor } };
  }
  const delay = Math.min(RETRY.firstMs * 2 ** arrival.failures, RETRY.mostMs);
  const retryAt = now + Math.round(delay * (1 + RETRY.jitter * (2 * random - 1)));
  return {
    ...arrival,
    failures: arrival.failures + 1,
    trouble: { ...trouble, retryAt, waitsFor: 'another-try' },
  };
}
