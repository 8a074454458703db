/** What the caller of a rotation asks for: the contract's options, read and checked at the edge. */
import type { RotationOptions } from '@mail/proto';
import { DEFAULTS, LIMITS } from './config.ts';
import type { RequiredSubscribers } from './coordinator.ts';
import { RegistryError } from './errors.ts';

export interface SwitchOptions {
  readonly require: RequiredSubscribers;
  readonly allowNameLoss: boolean;
  /** Switches to a key whose TLSA record caches may not have yet. */
  readonly allowTlsaMissing: boolean;
  readonly prepareTimeoutMs: number | undefined;
  /** Set to drain. */
  readonly drainGraceMs: number | undefined;
}

/** What a call without options asks for. */
export const PLAIN_SWITCH: SwitchOptions = {
  require: { kind: 'all' },
  allowNameLoss: false,
  allowTlsaMissing: false,
  prepareTimeoutMs: undefined,
  drainGraceMs: undefined,
};

/** Reads a call's options. Throws RegistryError (invalid-argument). */
export function readOptions(options: RotationOptions | undefined): SwitchOptions {
  if (options === undefined) return PLAIN_SWITCH;
  return {
    require: readPolicy(options.require?.policy),
    allowNameLoss: options.allowNameLoss,
    allowTlsaMissing: options.allowTlsaMissing,
    prepareTimeoutMs: within(
      options.prepareTimeoutMs,
      LIMITS.prepareTimeoutMs,
      'prepare_timeout_ms',
    ),
    drainGraceMs: options.drainPrevious
      ? (within(options.drainGraceMs, LIMITS.drainGraceMs, 'drain_grace_ms') ??
        DEFAULTS.drainGraceMs)
      : undefined,
  };
}

type Policy = NonNullable<RotationOptions['require']>['policy'];

function readPolicy(policy: Policy): RequiredSubscribers {
  switch (policy?.$case) {
    case undefined:
    case 'all':
      return { kind: 'all' };
    case 'none':
      return { kind: 'none' };
    case 'services': {
      const { services } = policy.value;
      if (services.length === 0 || services.length > LIMITS.names || services.includes('')) {
        throw new RegistryError(
          'invalid-argument',
          `require 1 to ${LIMITS.names} services by name`,
        );
      }
      return { kind: 'services', services };
    }
  }
}

function within(
  value: number,
  { least, most }: { readonly least: number; readonly most: number },
  name: string,
): number | undefined {
  if (value === 0) return undefined;
  if (value >= least && value <= most) return value;
  throw new RegistryError('invalid-argument', `${name} is 0 or from ${least} to ${most}`);
}
