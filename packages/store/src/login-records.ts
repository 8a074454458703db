/**
 * What all processes remember of logins, so that guesses at several of them are counted together: how
 * often each origin and each account has failed, and from where an account under guesses is known. What
 * follows from it is @mail/auth's. Bounded: old records go, and beyond a number the oldest.
 */
import type { Kysely } from 'kysely';
import type { LoginKey, LoginNote, LoginRecord } from './mail-store.ts';
import type { Schema } from './schema.ts';
import type { WriteContext } from './write-context.ts';

const KINDS = ['origin', 'account', 'known'] as const;

export async function readLoginRecords(
  db: Kysely<Schema>,
  keys: readonly LoginKey[],
): Promise<LoginRecord[]> {
  if (keys.length === 0) return [];
  const rows = await db
    .selectFrom('login_records')
    .selectAll()
    .where((eb) => eb.or(keys.map(({ kind, key }) => eb.and({ kind, key }))))
    .execute();
  return rows.map(({ kind, key, failures, last_at: lastAt }) => ({ kind, key, failures, lastAt }));
}

export interface LoginNotesArguments {
  readonly notes: readonly LoginNote[];
  readonly memoryMs: number;
  readonly keepAtMost: number;
}

export async function noteLogins(
  { db, now }: WriteContext,
  { notes, memoryMs, keepAtMost }: LoginNotesArguments,
): Promise<void> {
  const at = now.getTime();
  const forgotten = at - memoryMs;
  // in one order, so that no two processes wait for each other's rows
  const ordered = notes.toSorted((a, b) => (`${a.kind} ${a.key}` < `${b.kind} ${b.key}` ? -1 : 1));
  for (const { kind, key, failures } of ordered) {
    await db
      .insertInto('login_records')
      .values({ kind, key, failures, last_at: at })
      .onConflict((conflict) =>
        conflict.columns(['kind', 'key']).doUpdateSet((eb) => ({
          failures: eb
            .case()
            .when('login_records.last_at', '<=', forgotten)
            .then(eb.ref('excluded.failures'))
            .else(eb('login_records.failures', '+', eb.ref('excluded.failures')))
            .end(),
          last_at: eb.ref('excluded.last_at'),
        })),
      )
      .execute();
  }
  for (const kind of KINDS) {
    const tooOld = await db
      .selectFrom('login_records')
      .select('last_at')
      .where('kind', '=', kind)
      .orderBy('last_at', 'desc')
      .offset(keepAtMost)
      .limit(1)
      .executeTakeFirst();
    await db
      .deleteFrom('login_records')
      .where('kind', '=', kind)
      .where('last_at', '<=', Math.max(forgotten, tooOld?.last_at ?? 0))
      .execute();
  }
}

/** What salts for SCRAM are made with: the same for all processes, made with the database. */
export async function readSaltSecret(db: Kysely<Schema>): Promise<Buffer> {
  const { value } = await db
    .selectFrom('secrets')
    .select('value')
    .where('name', '=', 'scram_salts')
    .executeTakeFirstOrThrow();
  return Buffer.from(value, 'base64');
}
