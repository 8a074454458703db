/** The engine's own files, and rows that belong to a row which is not there. */
import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import type { CheckCourse } from './check-course.ts';
import type { Schema } from './schema.ts';

/** Told of each kind; more of them say nothing new. */
const MAX_TOLD = 100;

/** A table, its column, and the table that the column's values are ids of. */
const REFERENCES: readonly (readonly [string, string, string])[] = [
  ['mailboxes', 'account_id', 'accounts'],
  ['messages', 'mailbox_id', 'mailboxes'],
  ['tombstones', 'mailbox_id', 'mailboxes'],
  ['uid_blocks', 'mailbox_id', 'mailboxes'],
  ['mailbox_keywords', 'mailbox_id', 'mailboxes'],
  ['content_chunks', 'content_id', 'contents'],
];

export async function checkDatabase(course: CheckCourse): Promise<void> {
  const steps = REFERENCES.length + 1;
  course.progress('database', 0, steps);
  for (const what of await course.engine.examine(course.options.quick === true)) {
    course.tell({ code: 'database-damaged', where: 'the database', what }, 'not-mendable');
  }
  for (const [index, [table, column, parent]] of REFERENCES.entries()) {
    course.progress('database', index + 1, steps);
    const orphans = await course.look(`table ${table}`, (db) =>
      selectOrphans(db, table, column, parent),
    );
    for (const { id, count } of orphans ?? []) {
      const where = `${table} with ${column} ${id}`;
      const what = `${count} ${count === 1 ? 'row belongs' : 'rows belong'} to no row of ${parent}`;
      course.tell({ code: 'rows-of-nothing', where, what }, 'not-mendable');
    }
  }
  course.progress('database', steps, steps);
}

async function selectOrphans(
  db: Kysely<Schema>,
  table: string,
  column: string,
  parent: string,
): Promise<{ id: number; count: number }[]> {
  const { rows } = await sql<{ id: number; count: number }>`
    select ${sql.ref(column)} as id, count(*) as count from ${sql.table(table)}
    where not exists (select 1 from ${sql.table(parent)}
      where ${sql.table(parent)}.id = ${sql.table(table)}.${sql.ref(column)})
    group by ${sql.ref(column)} order by 1 limit ${sql.lit(MAX_TOLD)}`.execute(db);
  return rows;
}
