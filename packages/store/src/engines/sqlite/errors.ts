/** SQLite's result codes in the store's words. */
import { StoreError, type StoreErrorCode } from '../../errors.ts';

/** https://sqlite.org/rescode.html */
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  // the low byte is the primary code, the rest its variants
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}

/** Another connection holds the lock that this one wants. */
export function isBusy(error: unknown): boolean {
  return resultCode(error) === SQLITE_BUSY;
}

/** The database is lost or out of reach; anything else is left as it is, since it is a bug. */
export function fromSqlite(error: unknown): unknown {
  const fault = (code: StoreErrorCode, message: string): StoreError =>
    new StoreError(code, message, { cause: error });
  switch (resultCode(error)) {
    case SQLITE_CORRUPT:
      return fault('database-corrupt', 'the database is damaged');
    case SQLITE_NOTADB:
      return fault('database-corrupt', 'the file is no SQLite database, or is damaged');
    case SQLITE_FULL:
      return fault('database-unavailable', 'the disk is full');
    case SQLITE_READONLY:
      return fault('database-unavailable', 'the database cannot be written');
    case SQLITE_IOERR:
      return fault('database-unavailable', 'the disk fails to read or write');
    case SQLITE_CANTOPEN:
      return fault('database-unavailable', 'the database cannot be opened');
    case SQLITE_BUSY:
      return fault('database-unavailable', 'another process holds the database for too long');
    default:
      return error;
  }
}
