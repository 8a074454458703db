/**
 * What the command refuses or cannot do, as codes that scripts may match, each with its exit code.
 * Anything that is not a CliError is a bug.
 */
import type { CheckView, RotationView } from './views.ts';

/** Error code, as `error.code` of --json shows it, to the exit code of the process. */
const EXIT_CODES = {
  /** A check stands in the way. */
  refused: 1,
  /** A subscriber stood in the way, or another switch was under way: nothing was switched. */
  'rotation-refused': 1,
  /** Bad arguments, or a file that can't be read. */
  usage: 2,
  'not-found': 3,
  /** The registry knows who calls and says no. */
  'not-permitted': 4,
  /** No usable identity to call with. */
  'no-identity': 4,
  /** The call was cut off after the switch had begun: it may have been made, or not. */
  'outcome-unknown': 6,
  'registry-unreachable': 69,
  /** The API of the cluster that the command runs in. */
  'cluster-unreachable': 69,
  /** No answer within the deadline. */
  'timed-out': 69,
  'store-unavailable': 69,
  bug: 70,
} as const;

export type CliErrorCode = keyof typeof EXIT_CODES;

/** A check has found something, or some of the work could not be done. */
export const EXIT_FOUND = 1;

/** The switch was made, and not every subscriber has proved that it serves it. */
export const EXIT_INCOMPLETE = 5;

export interface CliErrorDetails extends ErrorOptions {
  /** What to do about it, in one sentence. */
  readonly remedy?: string | undefined;
  readonly checks?: readonly CheckView[] | undefined;
  readonly rotation?: RotationView | undefined;
}

export class CliError extends Error {
  readonly code: CliErrorCode;
  readonly remedy: string | undefined;
  readonly checks: readonly CheckView[] | undefined;
  readonly rotation: RotationView | undefined;

  /** `message` is for the operator: what happened and to which object, without a final full stop. */
  constructor(code: CliErrorCode, message: string, details: CliErrorDetails = {}) {
    super(message, details);
    this.name = 'CliError';
    this.code = code;
    this.remedy = details.remedy;
    this.checks = details.checks;
    this.rotation = details.rotation;
  }

  get exitCode(): number {
    return EXIT_CODES[this.code];
  }
}

/** What --json prints for an error. */
export function errorView(error: CliError): object {
  return {
    error: {
      code: error.code,
      message: error.message,
      ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
      ...(error.checks === undefined ? {} : { checks: error.checks }),
      ...(error.rotation === undefined ? {} : { rotation: error.rotation }),
    },
  };
}
