import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromSqlite, isBusy } from './errors.ts';

describe("SQLite's errors", () => {
  let folder: string;
  let path: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'concert-sqlite-'));
    path = join(folder, 'db');
    const database = new DatabaseSync(path);
    database.exec('create table t (x unique)');
    database.close();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const errorOf = (options: { readOnly?: boolean }, sql: string, file = path): unknown => {
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(file, options);
      database.exec(sql);
    } catch (error) {
      return error;
    } finally {
      database?.close();
    }
    throw new Error('nothing failed');
  };

  it('of a lost or unreachable database are the store’s own', () => {
    const fill = 'pragma max_page_count = 3; insert into t values (zeroblob(100000))';
    const full = errorOf({}, fill);
    expect(fromSqlite(full)).toMatchObject({ code: 'database-unavailable', cause: full });
    const readOnly = errorOf({ readOnly: true }, 'delete from t');
    expect(fromSqlite(readOnly)).toMatchObject({ code: 'database-unavailable' });
    const nowhere = errorOf({}, 'select 1', join(folder, 'none', 'db'));
    expect(fromSqlite(nowhere)).toMatchObject({ code: 'database-unavailable' });
    writeFileSync(join(folder, 'letter'), 'no database '.repeat(1_000));
    const noDatabase = errorOf({}, 'select * from t', join(folder, 'letter'));
    expect(fromSqlite(noDatabase)).toMatchObject({ code: 'database-corrupt' });
  });

  it('of a lock are known', () => {
    const holder = new DatabaseSync(path);
    holder.exec('begin immediate');
    const busy = errorOf({}, 'begin immediate');
    holder.close();
    expect(isBusy(busy)).toBe(true);
    expect(fromSqlite(busy)).toMatchObject({ code: 'database-unavailable' });
  });

  it('that are bugs stay what they are', () => {
    for (const sql of ['nonsense', "insert into t values ('a'), ('a')"]) {
      const bug = errorOf({}, sql);
      expect(fromSqlite(bug)).toBe(bug);
      expect(isBusy(bug)).toBe(false);
    }
    expect(fromSqlite('text')).toBe('text');
  });
});
