/** A SQLite store in a folder of its own, and a check that the file agrees with itself. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openStore } from '../open-store.ts';
import { checkDatabase, type DatabaseUnderTest, type Fault } from './database-under-test.ts';

export interface SqliteDatabase extends DatabaseUnderTest {
  readonly folder: string;
  readonly path: string;
}

/** For the lock, while a store writes. */
const BUSY_MS = 1_000;

const FILE_FAULTS: readonly Fault[] = [
  ['references to nothing', 'select * from pragma_foreign_key_check'],
  ['damage', `select integrity_check from pragma_integrity_check where integrity_check <> 'ok'`],
];

export async function createSqliteDatabase(): Promise<SqliteDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'concert-store-'));
  const path = join(folder, 'mail', 'mail.db');
  const url = `sqlite:${path}`;
  const query: DatabaseUnderTest['query'] = async (sql) => {
    const file = new DatabaseSync(path, { timeout: BUSY_MS });
    try {
      return file
        .prepare(sql)
        .all()
        .map((row) => ({ ...row }));
    } finally {
      file.close();
    }
  };
  return {
    folder,
    path,
    url,
    open: () => openStore({ url }),
    query,
    check: () => checkDatabase(query, FILE_FAULTS),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}
