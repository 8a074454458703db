import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PartitionPolicy } from '@mail/proto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RegistryDatabase } from './database.ts';
import { MIGRATIONS } from './migrations.ts';
import { Sqlite } from './sqlite.ts';

let folder: string;
let database: RegistryDatabase | undefined;
const file = () => join(folder, 'registry', 'registry.db');
const lockFile = () => join(folder, 'registry', 'registry.lock');
const files = () => ({ databaseFile: file(), lockFile: lockFile() });

function open(): RegistryDatabase {
  database = RegistryDatabase.open(files());
  return database;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'database-'));
});
afterEach(() => {
  database?.close();
  database = undefined;
  rmSync(folder, { recursive: true });
});

describe('opening', () => {
  test('makes files for their owner alone', () => {
    open().setSetting('a', 'b');
    expect(statSync(join(folder, 'registry')).mode & 0o777).toBe(0o700);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(statSync(`${file()}-wal`).mode & 0o777).toBe(0o600);
    expect(statSync(lockFile()).mode & 0o777).toBe(0o600);
  });

  test('a second time at once is refused with one line', () => {
    open();
    expect(() => RegistryDatabase.open(files())).toThrow(
      expect.objectContaining({
        code: 'start-failed',
        message: expect.stringMatching(/^another registry is running on .*registry\.db;[^\n]*$/),
      }),
    );
  });

  test('a second time after a close is fine, and finds everything', () => {
    open().setSetting('name', 'value');
    database?.close();
    expect(open().setting('name')).toBe('value');
  });

  const damages: [string, () => void][] = [
    ['no database at all', () => writeFileSync(file(), 'this is no database'.repeat(100))],
    [
      'a page overwritten',
      () => {
        const bytes = readFileSync(file());
        writeFileSync(file(), bytes.fill(0x5a, 4096, 4096 * 6));
      },
    ],
  ];
  test.each(damages)('%s is told with file and remedy in one line', (_, damage) => {
    open().setSetting('name', 'value');
    database?.close();
    damage();
    expect(open).toThrow(
      expect.objectContaining({
        code: 'database-corrupt',
        message: expect.stringMatching(/registry\.db is damaged; restore it from a backup[^\n]*$/),
      }),
    );
    // and the lock has been let go of
    rmSync(file());
    open();
  });

  test('an empty one is never a new one', () => {
    open().setSetting('name', 'value');
    database?.close();
    writeFileSync(file(), '');
    expect(open).toThrow(
      expect.objectContaining({
        code: 'database-corrupt',
        message: expect.stringMatching(
          /registry\.db is there and empty.* Restore it from a backup; or delete it[^\n]*$/,
        ),
      }),
    );
    rmSync(file());
    expect(open().setting('name')).toBeUndefined();
  });

  test('a first start that is cut off leaves no empty one', () => {
    const migrated = vi.spyOn(Sqlite.prototype, 'transaction');
    migrated.mockImplementationOnce(() => {
      throw new Error('the power has gone');
    });
    expect(open).toThrow(expect.objectContaining({ code: 'start-failed' }));
    expect(existsSync(file())).toBe(false);
    migrated.mockRestore();
    expect(open().activeGeneration()).toBeUndefined();
    expect(readdirSync(join(folder, 'registry'))).not.toContain('registry.db.new');
  });

  test('a new one takes nothing over from one that was deleted', () => {
    open().setSetting('name', 'value');
    cpSync(`${file()}-wal`, `${file()}-saved`);
    database?.close();
    rmSync(file());
    renameSync(`${file()}-saved`, `${file()}-wal`);
    expect(open().setting('name')).toBeUndefined();
  });

  test('one that a newer Concert wrote is left alone', () => {
    open().close();
    const sqlite = new Sqlite(file());
    sqlite.execute(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    sqlite.close();
    expect(open).toThrow(
      expect.objectContaining({
        code: 'start-failed',
        message: expect.stringContaining('newer Concert'),
      }),
    );
  });

  test('an older schema is brought up to date, with all that is in it', () => {
    mkdirSync(join(folder, 'registry'), { recursive: true });
    const sqlite = new Sqlite(file());
    sqlite.execute(MIGRATIONS[0] ?? '');
    sqlite.execute(
      `PRAGMA user_version = 1;
       INSERT INTO certificate VALUES ('a', 'label', 'f', 's', '{}', 'chain', NULL, x'07', 1, 'me')`,
    );
    sqlite.close();
    const row = open().certificate('a');
    expect(row).toEqual({
      id: 'a',
      label: 'label',
      fingerprint: 'f',
      spki: 's',
      description: '{}',
      chainPem: 'chain',
      signingRequestPem: null,
      sealedKey: new Uint8Array([7]),
      createdAt: 1,
      createdBy: 'me',
    });
    if (row !== undefined) database?.insertCertificate({ ...row, id: 'b', createdAt: 2 });
    const held = database?.certificatesByFingerprint('f').map(({ id }) => id);
    expect(held).toEqual(['a', 'b']);
  });

  test('a folder that is no folder is told', () => {
    writeFileSync(join(folder, 'registry'), '');
    expect(open).toThrow(expect.objectContaining({ code: 'folder-not-writable' }));
  });

  test('a folder in the place of the file is told', () => {
    mkdirSync(file(), { recursive: true });
    expect(open).toThrow(expect.objectContaining({ code: 'folder-not-writable' }));
  });
});

describe('generations', () => {
  const row = (number: number, certificateId: string) => ({
    number,
    certificateId,
    sealedSeed: Buffer.of(number),
    committedAt: number,
  });

  test('only grow, and only the newest keeps its seed', () => {
    const { insertGeneration } = bound(open());
    insertGeneration(row(1, 'a'));
    insertGeneration(row(5, 'b'));
    expect(database?.activeGeneration()).toMatchObject({ number: 5, certificateId: 'b' });
    for (const number of [5, 4, 1]) expect(() => insertGeneration(row(number, 'c'))).toThrow();
    const raw = new Sqlite<{ generation: { number: number; sealedSeed: Uint8Array | null } }>(
      file(),
    );
    const seeds = raw.all(raw.query.selectFrom('generation').select('sealedSeed'));
    raw.close();
    expect(seeds.filter(({ sealedSeed }) => sealedSeed !== null)).toHaveLength(1);
  });

  test('tell the certificate before, past any that only changed the seed', () => {
    const { insertGeneration } = bound(open());
    expect(database?.certificateIdBefore('a')).toBeUndefined();
    for (const [index, id] of ['a', 'b', 'b', 'c', 'c'].entries()) {
      insertGeneration(row(index + 1, id));
    }
    expect(database?.certificateIdBefore('c')).toBe('b');
  });

  function bound(opened: RegistryDatabase) {
    return { insertGeneration: opened.insertGeneration.bind(opened) };
  }
});

test('a transaction that throws leaves nothing', () => {
  const opened = open();
  expect(() =>
    opened.transaction(() => {
      opened.setSetting('name', 'value');
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(opened.setting('name')).toBeUndefined();
});

test('rotations keep their ids growing, and the oldest go', () => {
  const opened = open();
  const ids = Array.from({ length: 1_005 }, (_, index) => opened.insertRotation(`${index}`));
  expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  const kept = opened.rotations(2_000, undefined);
  expect(kept).toHaveLength(1_000);
  expect(kept[0]?.body).toBe('1004');
});

test('only subscribers that fence are written through to the disk', () => {
  const opened = open();
  const withoutSync = vi.spyOn(Sqlite.prototype, 'withoutSync');
  const remember = (partitionPolicy: PartitionPolicy) =>
    opened.rememberSubscriber({ service: 'imap', instance: 'a', partitionPolicy });
  remember(PartitionPolicy.PARTITION_POLICY_FENCE);
  expect(withoutSync).not.toHaveBeenCalled();
  remember(PartitionPolicy.PARTITION_POLICY_SERVE);
  expect(withoutSync).toHaveBeenCalledOnce();
  withoutSync.mockRestore();
});

test('subscribers are remembered once and forgotten', () => {
  const opened = open();
  const name = { service: 'imap', instance: 'a' };
  const [serve, fence] = [
    PartitionPolicy.PARTITION_POLICY_SERVE,
    PartitionPolicy.PARTITION_POLICY_FENCE,
  ];
  opened.rememberSubscriber({ ...name, partitionPolicy: serve });
  opened.rememberSubscriber({ ...name, partitionPolicy: fence });
  expect(opened.subscribers()).toEqual([{ ...name, partitionPolicy: fence }]);
  opened.forgetSubscriber('imap', 'a');
  opened.forgetSubscriber('imap', 'a');
  expect(opened.subscribers()).toEqual([]);
});
