/** The options that preview, rotate and rollback share, and what they become in a request. */
import type { RequirePolicy, RotationOptions } from '@mail/proto';
import { isIdentityName } from '@mail/service';
import type { Command } from 'commander';
import { CliError } from './errors.ts';
import { parseDuration } from './numbers.ts';

/** What the registry takes. */
const PREPARE_MS = { least: 100, most: 5 * 60_000 };

export interface RotationFlags {
  readonly require: string;
  readonly allowNameLoss?: boolean;
  readonly allowTlsaMissing?: boolean;
  readonly drainPrevious?: boolean;
  readonly timeout?: number;
}

export function addRotationOptions(command: Command): Command {
  return command
    .option('--require <who>', 'who must be ready: all, none, or services such as imap,smtp', 'all')
    .option('--allow-name-loss', 'names that the active certificate covers may be lost')
    .option('--allow-tlsa-missing', 'the key’s TLSA record need not be visible yet (DANE)')
    .option('--drain-previous', 'close connections made under older certificates, after a grace')
    .option(
      '--timeout <span>',
      'how long subscribers may take to get ready (default: 10s)',
      parseDuration(PREPARE_MS.least, PREPARE_MS.most),
    );
}

function toRequirePolicy(text: string): RequirePolicy {
  if (text === 'all') return { policy: { $case: 'all', value: {} } };
  if (text === 'none') return { policy: { $case: 'none', value: {} } };
  const services = text.split(',').map((service) => service.trim());
  if (!services.every(isIdentityName)) {
    throw new CliError(
      'usage',
      `--require wants all, none or services such as imap,smtp, not "${text}"`,
    );
  }
  return { policy: { $case: 'services', value: { services } } };
}

/** Throws CliError (usage). */
export function toRotationOptions(flags: RotationFlags): RotationOptions {
  return {
    require: toRequirePolicy(flags.require),
    allowNameLoss: flags.allowNameLoss ?? false,
    allowTlsaMissing: flags.allowTlsaMissing ?? false,
    drainPrevious: flags.drainPrevious ?? false,
    prepareTimeoutMs: flags.timeout ?? 0,
    drainGraceMs: 0,
  };
}
