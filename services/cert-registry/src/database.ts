/**
 * What the registry knows across restarts: certificates, generations, rotations, remembered subscribers,
 * the audit trail. All SQL is here. Secrets arrive sealed; rules and messages are other files'.
 */
import { chmodSync, closeSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { PartitionPolicy } from '@mail/proto';
import { makeFolder, ServiceError } from '@mail/service';
import type { Generated } from 'kysely';
import { LIMITS } from './config.ts';
import { MIGRATIONS } from './migrations.ts';
import { Sqlite, sqliteErrorCode } from './sqlite.ts';
import { syncFolder } from './sync-folder.ts';

/** A certificate as stored. `description` is JSON; the key is sealed under "certificate/ID". */
export interface CertificateRow {
  readonly id: string;
  readonly label: string;
  /** Of the leaf; null while a signing request waits for its answer. */
  readonly fingerprint: string | null;
  readonly spki: string;
  readonly description: string;
  readonly chainPem: string | null;
  readonly signingRequestPem: string | null;
  readonly sealedKey: Uint8Array;
  readonly createdAt: number;
  readonly createdBy: string;
}

/** Without the big columns and the key. */
export type CertificateSummaryRow = Omit<
  CertificateRow,
  'chainPem' | 'signingRequestPem' | 'sealedKey'
>;

/** The seed is sealed under "generation/NUMBER", and null in all but the newest. */
export interface GenerationRow {
  readonly number: number;
  readonly certificateId: string;
  readonly sealedSeed: Uint8Array | null;
  readonly committedAt: number;
}

export interface SubscriberRow {
  readonly service: string;
  readonly instance: string;
  readonly partitionPolicy: PartitionPolicy;
}

export interface AuditRow {
  readonly id: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly outcome: string;
}

interface RotationTable {
  id: Generated<number>;
  finished: number;
  body: string;
}

interface Tables {
  certificate: CertificateRow;
  generation: GenerationRow;
  rotation: RotationTable;
  subscriber: SubscriberRow;
  auditEvent: Omit<AuditRow, 'id'> & { id: Generated<number> };
  setting: { name: string; value: string };
  secret: { name: string; sealed: Uint8Array };
}

const SUMMARY_COLUMNS = [
  'id',
  'label',
  'fingerprint',
  'spki',
  'description',
  'createdAt',
  'createdBy',
] as const;

/** Primary result codes, sqlite.org/rescode.html. */
const SQLITE = { BUSY: 5, READONLY: 8, CORRUPT: 11, CANTOPEN: 14, NOTADB: 26 } as const;

export interface DatabaseFiles {
  readonly databaseFile: string;
  /** Held by the process that has the database open. */
  readonly lockFile: string;
}

const FILE_MODE = 0o600;
/** Tables are pruned once in this many inserts. */
const PRUNE_EVERY = 100;

export class RegistryDatabase {
  readonly #sqlite: Sqlite<Tables>;
  /** A second file, locked for as long as this process lives; backups of the first stay possible. */
  readonly #lock: Sqlite<Record<string, never>>;
  #inserts = 0;

  private constructor(sqlite: Sqlite<Tables>, lock: Sqlite<Record<string, never>>) {
    this.#sqlite = sqlite;
    this.#lock = lock;
  }

  /**
   * Opens or makes the database and brings its schema up to date. Throws ServiceError:
   * database-corrupt, folder-not-writable, start-failed (another registry has it, or a newer wrote it).
   */
  static open({ databaseFile: file, lockFile }: DatabaseFiles): RegistryDatabase {
    const lock = lockOrThrow(file, lockFile);
    let sqlite: Sqlite<Tables> | undefined;
    try {
      const size = statSync(file, { throwIfNoEntry: false })?.size;
      if (size === 0) throw emptied(file);
      if (size === undefined) create(file);
      sqlite = new Sqlite<Tables>(file);
      sqlite.execute('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      const verdict = sqlite.pragma('quick_check(1)');
      if (verdict !== 'ok') throw corrupt(file, verdict);
      migrate(sqlite, file);
      return new RegistryDatabase(sqlite, lock);
    } catch (error) {
      sqlite?.close();
      lock.close();
      throw openError(file, error);
    }
  }

  close(): void {
    this.#sqlite.close();
    this.#lock.close();
  }

  /** All writes of `body` or none; see Sqlite.transaction. */
  transaction<T>(body: () => T): T {
    return this.#sqlite.transaction(body);
  }

  // Certificates

  insertCertificate(row: CertificateRow): void {
    this.#sqlite.run(this.#sqlite.query.insertInto('certificate').values(row));
  }

  /** Gives a pending certificate its chain. Returns false when there is no such pending one. */
  completeCertificate(
    id: string,
    whole: {
      readonly chainPem: string;
      readonly fingerprint: string;
      readonly description: string;
    },
  ): boolean {
    const update = this.#sqlite.query
      .updateTable('certificate')
      .set(whole)
      .where('id', '=', id)
      .where('chainPem', 'is', null);
    return this.#sqlite.run(update) === 1;
  }

  certificate(id: string): CertificateRow | undefined {
    return this.#sqlite.first(
      this.#sqlite.query.selectFrom('certificate').selectAll().where('id', '=', id),
    );
  }

  /** All with this leaf, each with another chain; oldest first. */
  certificatesByFingerprint(fingerprint: string): CertificateRow[] {
    return this.#sqlite.all(
      this.#sqlite.query
        .selectFrom('certificate')
        .selectAll()
        .where('fingerprint', '=', fingerprint)
        .orderBy('createdAt')
        .orderBy('id'),
    );
  }

  /** At most two, which is enough to see that a prefix is ambiguous. `prefix` is [0-9a-f]. */
  certificateIdsBeginning(prefix: string): string[] {
    const found = this.#sqlite.query
      .selectFrom('certificate')
      .select('id')
      .where('id', '>=', prefix)
      .where('id', '<', `${prefix}g`)
      .limit(2);
    return this.#sqlite.all(found).map((row) => row.id);
  }

  /** Newest first. */
  certificates(): CertificateSummaryRow[] {
    return this.#sqlite.all(
      this.#sqlite.query
        .selectFrom('certificate')
        .select(SUMMARY_COLUMNS)
        .orderBy('createdAt', 'desc')
        .orderBy('id'),
    );
  }

  countCertificates(): number {
    const count = this.#sqlite.query
      .selectFrom('certificate')
      .select((build) => build.fn.countAll<number>().as('count'));
    return this.#sqlite.first(count)?.count ?? 0;
  }

  deleteCertificate(id: string): boolean {
    return (
      this.#sqlite.run(this.#sqlite.query.deleteFrom('certificate').where('id', '=', id)) === 1
    );
  }

  // Generations

  /** The generation in force; undefined only before the first start has made one. */
  activeGeneration(): GenerationRow | undefined {
    return this.#sqlite.first(
      this.#sqlite.query.selectFrom('generation').selectAll().orderBy('number', 'desc').limit(1),
    );
  }

  /** Adds the newest generation and drops the seeds of all others. Numbers only grow: else it throws. */
  insertGeneration(row: GenerationRow): void {
    const { query } = this.#sqlite;
    const newest = this.activeGeneration()?.number ?? 0;
    if (row.number <= newest) throw new Error(`generation ${row.number} is not after ${newest}`);
    this.#sqlite.run(
      query.updateTable('generation').set({ sealedSeed: null }).where('sealedSeed', 'is not', null),
    );
    this.#sqlite.run(query.insertInto('generation').values(row));
  }

  /** The newest certificate in force that was not `activeId`; it may have been deleted since. */
  certificateIdBefore(activeId: string): string | undefined {
    return this.#sqlite.first(
      this.#sqlite.query
        .selectFrom('generation')
        .select('certificateId')
        .where('certificateId', '!=', activeId)
        .orderBy('number', 'desc')
        .limit(1),
    )?.certificateId;
  }

  /** What the registry made at its first start; it may have been deleted since. */
  firstCertificateId(): string | undefined {
    return this.#sqlite.first(
      this.#sqlite.query
        .selectFrom('generation')
        .select('certificateId')
        .orderBy('number')
        .limit(1),
    )?.certificateId;
  }

  /** The certificates of all generations after `number`, each once. */
  certificateIdsSince(number: number): string[] {
    const since = this.#sqlite.query
      .selectFrom('generation')
      .select('certificateId')
      .distinct()
      .where('number', '>', number);
    return this.#sqlite.all(since).map((row) => row.certificateId);
  }

  // Rotations

  /** Returns the id it got; ids grow and are never used twice. */
  insertRotation(body: string): number {
    const { query } = this.#sqlite;
    return this.transaction(() => {
      const inserted = this.#sqlite.first(
        query.insertInto('rotation').values({ finished: 0, body }).returning('id'),
      );
      if (inserted === undefined) throw new Error('the database gave a rotation no id');
      this.#sqlite.run(
        query.deleteFrom('rotation').where('id', '<=', inserted.id - LIMITS.rotationsKept),
      );
      return inserted.id;
    });
  }

  updateRotation(id: number, body: string, finished: boolean): void {
    this.#sqlite.run(
      this.#sqlite.query
        .updateTable('rotation')
        .set({ body, finished: finished ? 1 : 0 })
        .where('id', '=', id),
    );
  }

  /** Newest first, those below `beforeId` where it is given. */
  rotations(limit: number, beforeId: number | undefined): { id: number; body: string }[] {
    let select = this.#sqlite.query.selectFrom('rotation').select(['id', 'body']);
    if (beforeId !== undefined) select = select.where('id', '<', beforeId);
    return this.#sqlite.all(select.orderBy('id', 'desc').limit(limit));
  }

  unfinishedRotations(): { id: number; body: string }[] {
    return this.#sqlite.all(
      this.#sqlite.query.selectFrom('rotation').select(['id', 'body']).where('finished', '=', 0),
    );
  }

  // Subscribers

  subscribers(): SubscriberRow[] {
    return this.#sqlite.all(this.#sqlite.query.selectFrom('subscriber').selectAll());
  }

  /**
   * Outlives the process. One that fences outlives the power too: a small machine is back within its
   * lease, and the instant of the next switch goes by whether somebody fences. Of the others one may be
   * missed by a switch then, and takes its generation as soon as it is back.
   */
  rememberSubscriber(row: SubscriberRow): void {
    const { partitionPolicy } = row;
    const insert = this.#sqlite.query
      .insertInto('subscriber')
      .values(row)
      .onConflict((conflict) =>
        conflict.columns(['service', 'instance']).doUpdateSet({ partitionPolicy }),
      );
    if (partitionPolicy === PartitionPolicy.PARTITION_POLICY_FENCE) this.#sqlite.run(insert);
    else this.#sqlite.withoutSync(() => this.#sqlite.run(insert));
  }

  forgetSubscriber(service: string, instance: string): void {
    this.#sqlite.withoutSync(() =>
      this.#sqlite.run(
        this.#sqlite.query
          .deleteFrom('subscriber')
          .where('service', '=', service)
          .where('instance', '=', instance),
      ),
    );
  }

  // Audit trail

  insertAuditEvent(event: Omit<AuditRow, 'id'>): void {
    const { query } = this.#sqlite;
    const inserted = this.#sqlite.first(
      query.insertInto('auditEvent').values(event).returning('id'),
    );
    this.#inserts += 1;
    if (inserted !== undefined && this.#inserts % PRUNE_EVERY === 0) {
      this.#sqlite.run(
        query.deleteFrom('auditEvent').where('id', '<=', inserted.id - LIMITS.auditEventsKept),
      );
    }
  }

  /** As insertAuditEvent; may be lost with the power, so that refused callers cannot busy the disk. */
  insertAuditEventWithoutSync(event: Omit<AuditRow, 'id'>): void {
    this.#sqlite.withoutSync(() => this.insertAuditEvent(event));
  }

  /** Newest first. */
  auditEvents(limit: number, beforeId: number | undefined): AuditRow[] {
    let select = this.#sqlite.query.selectFrom('auditEvent').selectAll();
    if (beforeId !== undefined) select = select.where('id', '<', beforeId);
    return this.#sqlite.all(select.orderBy('id', 'desc').limit(limit));
  }

  // Single values

  setting(name: string): string | undefined {
    return this.#sqlite.first(
      this.#sqlite.query.selectFrom('setting').select('value').where('name', '=', name),
    )?.value;
  }

  setSetting(name: string, value: string): void {
    this.#sqlite.run(
      this.#sqlite.query
        .insertInto('setting')
        .values({ name, value })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ value })),
    );
  }

  secret(name: string): Uint8Array | undefined {
    return this.#sqlite.first(
      this.#sqlite.query.selectFrom('secret').select('sealed').where('name', '=', name),
    )?.sealed;
  }

  setSecret(name: string, sealed: Uint8Array): void {
    this.#sqlite.run(
      this.#sqlite.query
        .insertInto('secret')
        .values({ name, sealed })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ sealed })),
    );
  }
}

/** Whether `RegistryDatabase.open` failed because a registry is running on these files. */
export function isHeldByRegistry(error: unknown): boolean {
  return error instanceof ServiceError && sqliteErrorCode(error.cause) === SQLITE.BUSY;
}

/** An exclusive transaction on a file of its own: the system lets go of it however this process ends. */
function lockOrThrow(file: string, lockFile: string): Sqlite<Record<string, never>> {
  let lock: Sqlite<Record<string, never>> | undefined;
  try {
    makeFolder(dirname(file));
    closeSync(openSync(lockFile, 'a', FILE_MODE));
    chmodSync(lockFile, FILE_MODE);
    lock = new Sqlite(lockFile);
    lock.execute('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock?.close();
    if (sqliteErrorCode(error) === SQLITE.BUSY) {
      throw new ServiceError(
        'start-failed',
        `another registry is running on ${file}; stop it or give this one its own CONCERT_DATA`,
        { cause: error },
      );
    }
    throw openError(lockFile, error);
  }
}

/** Whole or not at all, so that one without a single octet is never a new one: it has lost what it held. */
function create(file: string): void {
  const draft = `${file}.new`;
  const leftovers = [draft, `${draft}-journal`, `${file}-wal`, `${file}-shm`, `${file}-journal`];
  for (const leftover of leftovers) rmSync(leftover, { force: true });
  // SQLite gives its other files the mode of this one
  closeSync(openSync(draft, 'wx', FILE_MODE));
  const sqlite = new Sqlite<Tables>(draft);
  try {
    migrate(sqlite, draft);
  } finally {
    sqlite.close();
  }
  renameSync(draft, file);
  syncFolder(dirname(file));
}

function migrate(sqlite: Sqlite<Tables>, file: string): void {
  const version = Number(sqlite.pragma('user_version'));
  if (version > MIGRATIONS.length) {
    throw new ServiceError(
      'start-failed',
      `${file} was written by a newer Concert (schema ${version}, this one knows ${MIGRATIONS.length}); run that one`,
    );
  }
  for (const [index, step] of MIGRATIONS.entries()) {
    if (index < version) continue;
    sqlite.transaction(() => {
      sqlite.execute(step);
      sqlite.execute(`PRAGMA user_version = ${index + 1}`);
    });
  }
}

function corrupt(file: string, cause: unknown): ServiceError {
  return new ServiceError(
    'database-corrupt',
    `${file} is damaged; restore it from a backup, or move it away to begin with an empty registry`,
    { cause },
  );
}

function emptied(file: string): ServiceError {
  return new ServiceError(
    'database-corrupt',
    `${file} is there and empty, as no registry leaves it: what it held is lost. Restore it from a backup; or delete it to begin with an empty registry and another CA, which no service knows yet`,
  );
}

function openError(file: string, error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  const code = sqliteErrorCode(error);
  if (code === SQLITE.CORRUPT || code === SQLITE.NOTADB) return corrupt(file, error);
  const systemCode = error instanceof Error && 'code' in error ? error.code : undefined;
  const unwritable = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENOENT', 'EISDIR'];
  if (
    code === SQLITE.READONLY ||
    code === SQLITE.CANTOPEN ||
    unwritable.includes(String(systemCode))
  ) {
    return new ServiceError(
      'folder-not-writable',
      `cannot write in ${dirname(file)}; let this user write there or set CONCERT_DATA to another folder`,
      { cause: error },
    );
  }
  return new ServiceError('start-failed', `cannot open ${file}: ${String(error)}`, {
    cause: error,
  });
}
