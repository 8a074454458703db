import { open } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import type { Fault } from './check-report.ts';
import { checkSuite } from './testing/check-suite.ts';
import { createSqliteDatabase } from './testing/sqlite-database.ts';

checkSuite('SQLite', createSqliteDatabase);

describe('a check of a SQLite file', () => {
  /** A store with some mail, changed past it by `harm`, and then checked. */
  async function checkAfter(harm: (path: string) => Promise<void>): Promise<Fault[]> {
    const database = await createSqliteDatabase();
    try {
      const filled = await database.open();
      const { id } = await filled.accounts.add('alice@x.test', 'hash');
      const raw = Buffer.from(`Subject: one\r\n\r\n${'x'.repeat(100_000)}\r\n`);
      for (let count = 0; count < 30; count += 1) await filled.messages.deliver([id], { raw });
      await filled.close();
      await harm(database.path);
      const store = await database.open();
      const told: Fault[] = [];
      try {
        await store.check({ onFault: (fault) => told.push(fault) });
      } finally {
        await store.close();
      }
      return told;
    } finally {
      await database.dispose();
    }
  }

  it('finds pages that were overwritten, and goes on', async () => {
    const told = await checkAfter(async (path) => {
      const file = await open(path, 'r+');
      const { size } = await file.stat();
      // among the octets of messages, whose tree then leads astray
      for (let at = size / 2; at < size - 8_192; at += 4_096 * 7) {
        await file.write(Buffer.alloc(4_096, 0xa5), 0, 4_096, Math.floor(at / 4_096) * 4_096);
      }
      await file.close();
    });
    expect(told).toContainEqual(
      expect.objectContaining({ code: 'database-damaged', where: 'the database' }),
    );
  });

  it('finds rows that belong to nothing', async () => {
    const told = await checkAfter(async (path) => {
      const file = new DatabaseSync(path, { enableForeignKeyConstraints: false });
      file.exec('insert into content_chunks values (7000, 0, zeroblob(3)), (7000, 1, zeroblob(3))');
      file.exec('insert into tombstones values (8000, 1, 1, 1)');
      file.close();
    });
    expect(told).toEqual([
      {
        code: 'rows-of-nothing',
        where: 'tombstones with mailbox_id 8000',
        what: '1 row belongs to no row of mailboxes',
        outcome: 'not-mendable',
      },
      {
        code: 'rows-of-nothing',
        where: 'content_chunks with content_id 7000',
        what: '2 rows belong to no row of contents',
        outcome: 'not-mendable',
      },
    ]);
  });
});
