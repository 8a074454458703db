/** When the ACME source orders next: pure. Times are milliseconds since the epoch. */
import { earliest } from './back-off.ts';
import { sameNames } from './next-key.ts';
import type { AcmeState } from './state.ts';

export interface Due {
  /** When an order is to be made, whatever failed before. */
  readonly at: number;
  readonly why: 'first' | 'names' | 'renewal' | 'suggestion';
  /** When it is made by itself: not before the back-off ends. */
  readonly actAt: number;
}

/** When to order next. `wanted` is as AcmeState.attempted has it. */
export function nextOrder(
  state: AcmeState,
  names: readonly string[],
  wanted: string,
  now: number,
): Due {
  const due = dueOrder(state, names);
  const { attempts } = state;
  const waits = attempts.failures > 0 && state.attempted === wanted;
  return { ...due, actAt: waits ? Math.max(due.at, earliest(attempts, now)) : due.at };
}

function dueOrder(
  { certificate, suggestion }: AcmeState,
  names: readonly string[],
): Pick<Due, 'at' | 'why'> {
  if (certificate === undefined) return { at: 0, why: 'first' };
  if (!sameNames(certificate.names, names)) return { at: 0, why: 'names' };
  if (suggestion !== undefined) return { at: suggestion.renewAt, why: 'suggestion' };
  return { at: certificate.renewAt, why: 'renewal' };
}

/** The CA's rate limit forbids to ask now. */
export function isLimited(
  { attempts, attempted }: AcmeState,
  wanted: string,
  now: number,
): boolean {
  return attempts.limited && attempted === wanted && now < earliest(attempts, now);
}

/** What comes next, for people. */
export function describeDue({ at, why }: Due): string {
  const when = new Date(at).toISOString();
  const plans = {
    first: 'orders its first certificate',
    names: 'orders a certificate, since the names have changed',
    renewal: `renews on ${when}`,
    suggestion: `renews on ${when}, as the CA suggests`,
  };
  return plans[why];
}
