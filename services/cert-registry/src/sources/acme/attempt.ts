/**
 * One attempt at an order: written down as failed before it is made, so that a registry that dies in the
 * middle does not come back at once; and what is kept and told of it where it does fail.
 */
import type { Logger } from '@mail/service';
import type { AuditTrail } from '../../audit.ts';
import { describeOutcome, RegistryError } from '../../errors.ts';
import { sourceActor } from '../source.ts';
import type { SourceStatus } from '../source-status.ts';
import { type Attempts, afterFailure, type FailureFacts } from './back-off.ts';
import type { AcmeConfig } from './config.ts';
import { AcmeError, reasonOf } from './errors.ts';
import type { AcmeState, KeptState } from './state.ts';

/** Failures are told loudly when less than this part of the life is left. */
const PRESSING = 1 / 6;

export interface AttemptParts {
  readonly state: KeptState;
  readonly status: SourceStatus;
  readonly audit: AuditTrail;
  readonly logger: Logger;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** What an order is made of, as AcmeState.attempted has it. Nothing of it is secret. */
export function ingredients(config: AcmeConfig, names: readonly string[]): string {
  const { account, challenge, profile, keyTypeName } = config;
  const { termsAgreed, externalAccount } = account;
  const how = challenge.type === 'http-01' ? challenge.listen : Object.keys(challenge.writer);
  const sorted = [...names].sort();
  return JSON.stringify([sorted, termsAgreed, externalAccount?.keyId, how, profile, keyTypeName]);
}

export class OrderAttempt {
  readonly #parts: AttemptParts;
  readonly #names: readonly string[];
  readonly #before: Attempts;

  private constructor(parts: AttemptParts, names: readonly string[]) {
    this.#parts = parts;
    this.#names = names;
    this.#before = parts.state.value.attempts;
  }

  /** `wanted` is what `ingredients` gives. */
  static begin(parts: AttemptParts, names: readonly string[], wanted: string): OrderAttempt {
    const attempt = new OrderAttempt(parts, names);
    const attempts = afterFailure(attempt.#before, attempt.#facts());
    parts.state.change({ attempts, attempted: wanted });
    return attempt;
  }

  /** It was our own stop that ended it, which says nothing about the next one. */
  withdraw(): void {
    this.#parts.state.change({ attempts: this.#before });
  }

  /** Keeps and tells why there is no certificate. Returns what the caller is to hear of it. */
  fail(error: unknown): unknown {
    const { state, status } = this.#parts;
    const known = error instanceof AcmeError || error instanceof RegistryError;
    const acme = error instanceof AcmeError ? error : undefined;
    const attempts = afterFailure(this.#before, {
      ...this.#facts(),
      permanent: acme?.permanent ?? known,
      rateLimited: acme?.rateLimited ?? false,
      retryAfterMs: acme?.retryAfterMs,
    });
    state.change({ attempts, deaf: acme?.code === 'not-listening' });
    if (acme !== undefined && endsOrder(acme)) state.dropOrder();
    const ending = endingOf(state.value.certificate, this.#parts.now());
    const detail = `${reasonOf(error)}${ending}`;
    const checks = error instanceof RegistryError ? error.checks : [];
    status.failed(detail, checks, attempts.nextAt);
    const code = attempts.limited ? 'exhausted' : 'precondition';
    const refusal =
      error instanceof RegistryError ? error : new RegistryError(code, detail, { cause: error });
    this.#record(refusal, attempts, ending !== '');
    return known ? refusal : error;
  }

  #record(refusal: RegistryError, { failures, nextAt }: Attempts, pressing: boolean): void {
    const { audit, logger } = this.#parts;
    const names = this.#names;
    const actor = sourceActor('acme');
    const outcome = describeOutcome(refusal);
    audit.record({ actor, action: 'acme-order', target: names.join(' '), outcome });
    const facts = { names, reason: refusal.message, failures, nextAt: new Date(nextAt) };
    logger[pressing ? 'error' : 'warn'](facts, 'no certificate by ACME');
  }

  #facts(): FailureFacts {
    const { state, now, random } = this.#parts;
    return { now: now(), held: state.value.certificate, random: random() };
  }
}

/**
 * Whether the order is of no use any more: the CA has refused it, or answered about it what would be of no
 * more use the next time. What a server failed itself may be gone on with.
 */
function endsOrder({ code, problem, status = 0 }: AcmeError): boolean {
  const final = problem !== undefined || code === 'bad-answer' || code === 'challenge-failed';
  return final && status < 500;
}

/** When the certificate ends, where that is soon; else empty. */
function endingOf(certificate: AcmeState['certificate'], now: number): string {
  if (certificate === undefined) return '';
  const { id, notBefore, notAfter } = certificate;
  const left = notAfter - now;
  if (left > (notAfter - notBefore) * PRESSING) return '';
  return `; certificate ${id} ${left > 0 ? 'ends' : 'ended'} on ${new Date(notAfter).toISOString()}`;
}
