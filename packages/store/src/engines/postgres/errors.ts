/** What PostgreSQL and the network to it say, in the store's words. */
import pg from 'pg';
import { StoreError, type StoreErrorCode } from '../../errors.ts';

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const SERIALIZATION_FAILURE = '40001';
const DEADLOCK_DETECTED = '40P01';
const LOCK_NOT_AVAILABLE = '55P03';
const READ_ONLY_TRANSACTION = '25006';
const IDLE_IN_TRANSACTION_TIMEOUT = '25P03';
const INSUFFICIENT_PRIVILEGE = '42501';
const INVALID_CATALOG_NAME = '3D000';
const QUERY_CANCELED = '57014';
const CLASS = {
  connection: '08',
  authorization: '28',
  resources: '53',
  /** Shut down, crashed, or still starting. */
  intervention: '57',
  system: '58',
};
const CORRUPT = new Set(['XX001', 'XX002']);

/** Of a server that is not there yet, or of the network to it. */
const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
/** pg-pool's own, of a connection that does not become free; one that cannot be made has another. */
const NONE_FREE = 'timeout exceeded when trying to connect';
/** pg's own, which carry no code. */
const CONNECTION_LOST =
  /^Connection terminated|^timeout exceeded|^timeout expired|^Query read timeout/;

function sqlState(error: unknown): string {
  return error instanceof pg.DatabaseError ? (error.code ?? '') : '';
}

function isOf(state: string, ...classes: string[]): boolean {
  return classes.some((prefix) => state.startsWith(prefix));
}

function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s+/g, ' ').trim();
}

/** Two writes were in each other's way, and this one is undone: it can be run again. */
export function isConflict(error: unknown): boolean {
  const state = sqlState(error);
  return state === SERIALIZATION_FAILURE || state === DEADLOCK_DETECTED;
}

/** A newer version has changed the tables under a statement that this connection keeps prepared. */
export function isStaleStatement(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.routine === 'RevalidateCachedQuery';
}

/** An error of a statement. What is a bug stays what it is. */
export function fromPostgres(error: unknown): unknown {
  const fault = (code: StoreErrorCode, message: string): StoreError =>
    new StoreError(code, message, { cause: error });
  const state = sqlState(error);
  if (isConflict(error) || state === LOCK_NOT_AVAILABLE || state === QUERY_CANCELED) {
    return fault('database-unavailable', 'PostgreSQL took too long over a statement');
  }
  if (isStaleStatement(error)) {
    return fault('database-unavailable', 'the schema has just changed');
  }
  if (state === READ_ONLY_TRANSACTION) {
    return fault('database-unavailable', 'PostgreSQL takes no writes: it is a standby');
  }
  if (state === INSUFFICIENT_PRIVILEGE) {
    return fault('database-unavailable', `PostgreSQL does not allow it: ${oneLine(error)}`);
  }
  if (
    state === IDLE_IN_TRANSACTION_TIMEOUT ||
    isOf(state, CLASS.connection, CLASS.resources, CLASS.intervention, CLASS.system)
  ) {
    return fault('database-unavailable', `PostgreSQL is not available: ${oneLine(error)}`);
  }
  if (CORRUPT.has(state)) return fault('database-corrupt', 'the database is damaged');
  return error;
}

/** An error of a connection in use: PostgreSQL's own words, a bug of ours, or the network. */
export function fromConnection(error: unknown): unknown {
  const ours = error instanceof TypeError || error instanceof RangeError;
  if (ours || error instanceof pg.DatabaseError || error instanceof StoreError) return error;
  return new StoreError('database-unavailable', 'the connection to PostgreSQL was lost', {
    cause: error,
  });
}

/** An error of making a connection, or of waiting for one. */
export function fromConnecting(error: unknown): StoreError {
  if (saysNoneFree(error)) {
    const why = 'all connections to PostgreSQL are in use';
    return new StoreError('database-unavailable', why, { cause: error });
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const why =
    sqlState(error) === '' && NETWORK_CODES.has(code)
      ? `PostgreSQL does not answer (${code})`
      : `PostgreSQL cannot be used: ${oneLine(error)}`;
  return new StoreError('database-unavailable', why, { cause: error });
}

function saysNoneFree(error: unknown): boolean {
  return error instanceof Error && error.message === NONE_FREE;
}

/** Whether PostgreSQL may well be there: it was one of ours that nobody gave back in time. */
export function isCrowded({ cause }: StoreError): boolean {
  return saysNoneFree(cause);
}

/** Whether what kept a connection from being made may pass by itself. */
export function mayPass({ cause }: StoreError): boolean {
  const state = sqlState(cause);
  if (state !== '') return isOf(state, CLASS.connection, CLASS.resources, CLASS.intervention);
  if (!(cause instanceof Error)) return false;
  if ('code' in cause) return NETWORK_CODES.has(String(cause.code));
  return CONNECTION_LOST.test(cause.message);
}

/** Whether an operator must mend what kept a connection from being made: user, password, database. */
export function isRefusal({ cause }: StoreError): boolean {
  const state = sqlState(cause);
  return state === INVALID_CATALOG_NAME || isOf(state, CLASS.authorization);
}
