/**
 * Brings a database to this version's schema. Migrations are numbered by their place in the list and
 * run forward only. The engine calls this inside one transaction that locks out other writers, so that
 * services which start together apply each migration once.
 */
import { type Kysely, sql } from 'kysely';
import { StoreError } from './errors.ts';
import * as init from './migrations/0001-init.ts';
import * as readPath from './migrations/0002-read-path.ts';
import * as logins from './migrations/0003-logins.ts';
import * as searchTexts from './migrations/0004-search-texts.ts';
import * as directory from './migrations/0005-directory.ts';
import * as annotations from './migrations/0006-annotations.ts';
import * as sharing from './migrations/0007-sharing.ts';
import type { Schema } from './schema.ts';

/** How an engine spells what DDL needs. */
export interface EngineTypes {
  /** An integer primary key that is never used again. */
  readonly id: string;
  /** Whole numbers below 2^53. */
  readonly whole: string;
  /** Text that is compared by its octets. */
  readonly text: string;
  readonly bytes: string;
  /** Behind a table's definition: rows lie in the order of the primary key. */
  readonly clustered: string;
  /** Makes the index of texts, where that is a table of its own. */
  readonly textIndex: readonly string[];
}

interface Migration {
  readonly name: string;
  up(db: Kysely<never>, types: EngineTypes): Promise<void>;
}

const MIGRATIONS: readonly Migration[] = [
  init,
  readPath,
  logins,
  searchTexts,
  directory,
  annotations,
  sharing,
];

/** Throws StoreError (schema-too-new). */
export async function migrate(db: Kysely<Schema>, types: EngineTypes, now: Date): Promise<void> {
  await sql
    .raw(
      `create table if not exists schema_migrations (
        number ${types.whole} primary key, name ${types.text} not null, applied_at ${types.whole} not null
      )`,
    )
    .execute(db);
  const { applied } = await db
    .selectFrom('schema_migrations')
    .select((eb) => eb.fn.coalesce(eb.fn.max('number'), eb.lit(0)).as('applied'))
    .executeTakeFirstOrThrow();
  if (applied > MIGRATIONS.length) {
    throw new StoreError(
      'schema-too-new',
      `its schema is version ${applied}, this program knows up to ${MIGRATIONS.length}; run a newer version`,
    );
  }
  for (const [index, migration] of MIGRATIONS.entries()) {
    const number = index + 1;
    if (number <= applied) continue;
    await migration.up(db as unknown as Kysely<never>, types);
    await db
      .insertInto('schema_migrations')
      .values({ number, name: migration.name, applied_at: now.getTime() })
      .execute();
  }
}
