import { mkdirSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseSettings, ServiceError } from '@mail/service';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStore } from './open-store.ts';
import { storeSettings, storeUrl } from './settings.ts';
import { createSqliteDatabase, type SqliteDatabase } from './testing/sqlite-database.ts';

describe('opening a store', () => {
  let database: SqliteDatabase;

  beforeEach(async () => {
    database = await createSqliteDatabase();
  });
  afterEach(() => database.dispose());

  const refusal = async (url: string): Promise<ServiceError> => {
    try {
      await (await openStore({ url })).close();
    } catch (error) {
      if (error instanceof ServiceError) return error;
      throw error;
    }
    throw new Error('it was opened');
  };

  it('makes folder and files that nobody else can read', async () => {
    const store = await database.open();
    const account = await store.accounts.add('alice@x.test', 'hash');
    await store.lockMaildrop(account.id);
    const folder = dirname(database.path);
    const files = readdirSync(folder);
    expect(files.sort()).toEqual(
      ['mail.db', 'mail.db-bell', 'mail.db-maildrops', 'mail.db-shm', 'mail.db-wal'].sort(),
    );
    for (const file of [folder, ...files.map((name) => join(folder, name))]) {
      expect(statSync(file).mode & 0o077, file).toBe(0);
    }
    await store.close();
  });

  it('keeps what is in it', async () => {
    const first = await database.open();
    const account = await first.accounts.add('alice@x.test', 'hash');
    await first.close();
    const second = await database.open();
    expect(await second.accounts.list()).toEqual([account]);
    await second.close();
  });

  it('refuses what is no database', async () => {
    mkdirSync(dirname(database.path));
    writeFileSync(database.path, 'this is a letter, not a database. '.repeat(1_000));
    const error = await refusal(database.url);
    expect(error.code).toBe('database-corrupt');
    expect(error.message).toContain(database.path);
    expect(error.message).not.toContain('\n');
    expect(error.cause).toMatchObject({ name: 'StoreError', code: 'database-corrupt' });
  });

  it('refuses a database that is cut off', async () => {
    await (await database.open()).close();
    truncateSync(database.path, 4_096);
    expect((await refusal(database.url)).code).toBe('database-corrupt');
  });

  it('refuses a schema of the future, and leaves it as it is', async () => {
    await (await database.open()).close();
    const file = new DatabaseSync(database.path);
    file.exec(`insert into schema_migrations values (99, 'later', 0)`);
    const error = await refusal(database.url);
    expect(error.cause).toMatchObject({ code: 'schema-too-new' });
    expect(error.message).toContain('version 99');
    expect(file.prepare('select max(number) as n from schema_migrations').get()?.['n']).toBe(99);
    file.close();
  });

  it('refuses a folder that cannot be made', async () => {
    const file = join(database.folder, 'file');
    writeFileSync(file, '');
    const error = await refusal(`sqlite:${file}/mail.db`);
    expect(error.code).toBe('folder-not-writable');
    expect(error.message).toContain('its folder cannot be made');
  });

  it.runIf(process.platform === 'linux')(
    'refuses one below which nothing can be made',
    async () => {
      const error = await refusal('sqlite:/proc/concert/mail.db');
      expect(error.code).toBe('folder-not-writable');
      expect(error.message).toContain('its folder cannot be made (ENOENT)');
    },
  );

  it('refuses a database that is a folder', async () => {
    mkdirSync(database.path, { recursive: true });
    expect((await refusal(database.url)).code).toBe('folder-not-writable');
  });

  it.each(['', 'sqlite:', 'mysql://x', '/mail.db'])('refuses the URL %j', async (url) => {
    expect((await refusal(url)).code).toBe('bad-setting');
  });

  it('is by default in the data folder', () => {
    const settings = parseSettings(storeSettings, {});
    expect(storeUrl({ ...settings, CONCERT_DATA: '/var/lib/x' })).toBe(
      'sqlite:/var/lib/x/mail/mail.db',
    );
    const given = parseSettings(storeSettings, { CONCERT_STORE: 'sqlite:/elsewhere.db' });
    expect(storeUrl({ ...given, CONCERT_DATA: '/var/lib/x' })).toBe('sqlite:/elsewhere.db');
    expect(() => parseSettings(storeSettings, { CONCERT_STORE: 'mysql:x' })).toThrow(
      /CONCERT_STORE/,
    );
  });
});
