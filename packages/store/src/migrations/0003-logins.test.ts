import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Kysely } from 'kysely';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { kyselyOn, openWriter, SQLITE_TYPES } from '../engines/sqlite/connection.ts';
import { createSqliteDatabase, type SqliteDatabase } from '../testing/sqlite-database.ts';
import * as init from './0001-init.ts';
import * as readPath from './0002-read-path.ts';

let database: SqliteDatabase;
beforeAll(async () => {
  database = await createSqliteDatabase();
  mkdirSync(dirname(database.path), { recursive: true });
  const file = openWriter(database.path);
  const db = kyselyOn(file) as unknown as Kysely<never>;
  await init.up(db, SQLITE_TYPES);
  await readPath.up(db, SQLITE_TYPES);
  file.exec(`create table schema_migrations (
    number integer primary key, name text not null, applied_at integer not null
  )`);
  file.exec(`insert into schema_migrations values (1, 'init', 0), (2, 'read-path', 0)`);
  file.exec(`insert into accounts (address, domain, address_key, password_hash, created_at)
    values ('alice@x.test', 'x.test', 'alice@x.test', 'hash', 0)`);
  file.close();
});
afterAll(() => database.dispose());

it('leaves accounts as they are: their SCRAM keys are learned at their next login', async () => {
  const store = await database.open();
  const found = await store.accounts.credentials('alice@x.test');
  expect(found).toMatchObject({ passwordHash: 'hash', scramKeys: undefined });
  const learned = { passwordHash: 'hash', scramKeys: 'keys' };
  await store.accounts.renewPassword(found?.account.id ?? 0, 'hash', learned);
  expect(await store.accounts.credentials('alice@x.test')).toMatchObject(learned);
  expect(await store.logins.saltSecret()).toHaveLength(32);
  await store.close();
});
