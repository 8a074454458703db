/** The host names that users have in their mail clients: every active certificate must cover them. */
import { type CheckResult, CheckSeverity } from '@mail/proto';
import { NameError, nameCovered, normaliseName } from '@mail/x509';
import { LIMITS } from './config.ts';
import type { RegistryDatabase } from './database.ts';
import { RegistryError } from './errors.ts';

const SETTING = 'required-names';

export class RequiredNames {
  readonly #database: RegistryDatabase;

  constructor(database: RegistryDatabase) {
    this.#database = database;
  }

  /** A-labels, lower case, in the operator's order. */
  get(): string[] {
    return JSON.parse(this.#database.setting(SETTING) ?? '[]');
  }

  /** Sets them at the first start. Throws RegistryError (invalid-argument). */
  begin(names: readonly string[]): void {
    this.#save(normaliseNames(names));
  }

  /**
   * Replaces them. `active` is what the certificate in force covers; a name that it does not cover is
   * refused unless `force`. `inUse` is the id that a rotation under way goes to: its names were checked
   * when it began, so that until it is in force none may be added.
   * Throws RegistryError (invalid-argument, check-failed, precondition).
   */
  set(
    names: readonly string[],
    active: ActiveNames,
    inUse: string | undefined,
    force: boolean,
  ): string[] {
    const wanted = normaliseNames(names);
    if (inUse !== undefined && inUse !== active.certificateId) {
      throw new RegistryError(
        'precondition',
        `a rotation to certificate ${inUse} is under way; set the names once it has ended`,
      );
    }
    const missing = wanted.filter((name) => !nameCovered(name, active.dnsNames));
    if (missing.length > 0 && !force) {
      throw new RegistryError(
        'check-failed',
        `the active certificate does not cover ${missing.join(', ')}; rotate to one that does, or force it`,
        { checks: missing.map((name) => missingName(name, active.certificateId)) },
      );
    }
    this.#save(wanted);
    return wanted;
  }

  #save(names: readonly string[]): void {
    this.#database.setSetting(SETTING, JSON.stringify(names));
  }
}

export interface ActiveNames {
  readonly certificateId: string;
  readonly dnsNames: readonly string[];
}

function missingName(name: string, certificate: string): CheckResult {
  return {
    code: 'required-name-missing',
    severity: CheckSeverity.CHECK_SEVERITY_ERROR,
    certificate,
    message: `The active certificate does not cover ${name}.`,
    remedy:
      'Rotate to a certificate that covers it first, or give the names with "concert names set --force".',
  };
}

/** Each once, at most as many as the limit. Throws RegistryError (invalid-argument). */
export function normaliseNames(
  names: readonly string[],
  normalise: (name: string) => string = normaliseName,
): string[] {
  if (names.length > LIMITS.names) {
    throw new RegistryError('invalid-argument', `${names.length} names; at most ${LIMITS.names}`);
  }
  try {
    return [...new Set(names.map(normalise))];
  } catch (error) {
    if (!(error instanceof NameError)) throw error;
    throw new RegistryError('invalid-argument', error.message, { cause: error });
  }
}
