/**
 * The refusals of this registry and how they leave it: rules throw RegistryError, and `toGrpcError`
 * alone makes gRPC errors of it, with google.rpc.Status details where there are any. What is no
 * RegistryError is a bug: logged whole, answered blandly.
 */
import { type ServiceError as GrpcError, Metadata, status } from '@grpc/grpc-js';
import {
  type Any,
  CheckFailure,
  type CheckResult,
  type Rotation,
  RotationFailure,
  Status as RpcStatus,
} from '@mail/proto';
import type { Logger } from '@mail/service';
import { isDiskFull } from './sqlite.ts';

export type RegistryErrorCode =
  /** The input can't be read or breaks a limit. */
  | 'invalid-argument'
  /** A check of the certificate fails. */
  | 'check-failed'
  | 'not-found'
  /** The state of the registry does not allow it. */
  | 'precondition'
  /** Another rotation is under way. */
  | 'rotation-under-way'
  /** A limit on what is kept is reached. */
  | 'exhausted'
  /** A required subscriber stood in the way; nothing was switched. */
  | 'rotation-aborted'
  /** The caller's identity may not do this. */
  | 'forbidden'
  /** The caller's identity has expired. */
  | 'unauthenticated'
  /** The registry is stopping. */
  | 'unavailable';

export class RegistryError extends Error {
  readonly code: RegistryErrorCode;
  readonly checks: readonly CheckResult[];
  readonly rotation: Rotation | undefined;

  /** `message` is for the operator: what happened, to which object, what to do. */
  constructor(
    code: RegistryErrorCode,
    message: string,
    options: ErrorOptions & { checks?: readonly CheckResult[]; rotation?: Rotation } = {},
  ) {
    super(message, options);
    this.name = 'RegistryError';
    this.code = code;
    this.checks = options.checks ?? [];
    this.rotation = options.rotation;
  }
}

const STATUS: Record<RegistryErrorCode, status> = {
  'invalid-argument': status.INVALID_ARGUMENT,
  'check-failed': status.FAILED_PRECONDITION,
  'not-found': status.NOT_FOUND,
  precondition: status.FAILED_PRECONDITION,
  'rotation-under-way': status.FAILED_PRECONDITION,
  exhausted: status.RESOURCE_EXHAUSTED,
  'rotation-aborted': status.ABORTED,
  forbidden: status.PERMISSION_DENIED,
  unauthenticated: status.UNAUTHENTICATED,
  unavailable: status.UNAVAILABLE,
};

export const DISK_FULL = 'the disk that holds the registry’s database is full';

const DETAILS_KEY = 'grpc-status-details-bin';
/** HTTP/2 peers refuse big trailers (Node's own limit is 64 KiB); an error with less is still an error. */
const MAX_DETAILS_BYTES = 32 * 1024;

function detailOf(error: RegistryError): Any | undefined {
  if (error.checks.length > 0) {
    const value = Buffer.from(CheckFailure.encode({ checks: [...error.checks] }).finish());
    return { typeUrl: 'type.googleapis.com/mail.certs.v1.CheckFailure', value };
  }
  if (error.rotation !== undefined) {
    const rotation = inTheWay(error.rotation);
    const value = Buffer.from(RotationFailure.encode({ rotation }).finish());
    return { typeUrl: 'type.googleapis.com/mail.certs.v1.RotationFailure', value };
  }
  return undefined;
}

/** A big fleet's outcomes do not fit into trailers; those that explain the failure do. */
function inTheWay(rotation: Rotation): Rotation {
  const few = 100;
  if (rotation.outcomes.length <= few) return rotation;
  return {
    ...rotation,
    outcomes: rotation.outcomes.filter(({ code }) => code !== '').slice(0, few),
  };
}

/** What an operator can mend is no bug, wherever in the registry it shows. */
export function refusalIn(error: unknown): unknown {
  if (!isDiskFull(error)) return error;
  return new RegistryError('exhausted', `${DISK_FULL}; make room and try again`, { cause: error });
}

/** The gRPC status, and the message that goes with it, as an audit line has it. */
export function describeOutcome(thrown: unknown): string {
  const error = refusalIn(thrown);
  if (error instanceof RegistryError) return `${status[STATUS[error.code]]}: ${error.message}`;
  return 'INTERNAL';
}

/** Makes the error that a caller gets, and logs it: refusals quietly, bugs loudly. */
export function toGrpcError(thrown: unknown, method: string, logger: Logger): GrpcError {
  const error = refusalIn(thrown);
  if (!(error instanceof RegistryError)) {
    logger.error({ error, method }, 'a call failed by a fault of the registry');
    return grpcError(status.INTERNAL, 'internal error; the registry has logged it', []);
  }
  logger.info({ method, code: error.code, reason: error.message }, 'refused a call');
  const detail = detailOf(error);
  return grpcError(STATUS[error.code], error.message, detail === undefined ? [] : [detail]);
}

function grpcError(code: status, details: string, any: Any[]): GrpcError {
  const metadata = new Metadata();
  const rpcStatus = RpcStatus.encode({ code, message: details, details: any }).finish();
  if (any.length > 0 && rpcStatus.length <= MAX_DETAILS_BYTES) {
    metadata.set(DETAILS_KEY, Buffer.from(rpcStatus));
  }
  return Object.assign(new Error(details), { code, details, metadata });
}
