/**
 * The database's schema as numbered steps; SQLite's user_version says how many were taken. A step that
 * has shipped is never edited: what it lacks goes into the next. Times are milliseconds since the epoch.
 */

/** Step n brings version n - 1 to n. */
export const MIGRATIONS: readonly string[] = [
  `
  -- Whole once chainPem is there; before that it waits for the answer to its signing request.
  CREATE TABLE certificate (
    id TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    fingerprint TEXT UNIQUE,
    spki TEXT NOT NULL,
    description TEXT NOT NULL,
    chainPem TEXT,
    signingRequestPem TEXT,
    sealedKey BLOB NOT NULL,
    createdAt INTEGER NOT NULL,
    createdBy TEXT NOT NULL
  ) STRICT;

  -- Rows are never deleted, so no number comes twice. The newest is in force; only it keeps its seed.
  -- Its certificate may be deleted once another is active, hence no reference.
  CREATE TABLE generation (
    number INTEGER PRIMARY KEY,
    certificateId TEXT NOT NULL,
    sealedSeed BLOB,
    committedAt INTEGER NOT NULL
  ) STRICT;

  -- body is the Rotation of the contract as JSON.
  CREATE TABLE rotation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    finished INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX rotationUnfinished ON rotation (id) WHERE finished = 0;

  -- Who was welcomed and has not been forgotten since.
  CREATE TABLE subscriber (
    service TEXT NOT NULL,
    instance TEXT NOT NULL,
    partitionPolicy INTEGER NOT NULL,
    PRIMARY KEY (service, instance)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE auditEvent (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    outcome TEXT NOT NULL
  ) STRICT;

  -- Single values: JSON, or PEM for the internal CA's certificate.
  CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- Secrets that belong to no other row, sealed by the vault under their name.
  CREATE TABLE secret (
    name TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- One leaf may be held with several chains, each a certificate of its own: fingerprint is not unique.
  CREATE TABLE certificateNext (
    id TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    fingerprint TEXT,
    spki TEXT NOT NULL,
    description TEXT NOT NULL,
    chainPem TEXT,
    signingRequestPem TEXT,
    sealedKey BLOB NOT NULL,
    createdAt INTEGER NOT NULL,
    createdBy TEXT NOT NULL
  ) STRICT;
  INSERT INTO certificateNext
    SELECT id, label, fingerprint, spki, description, chainPem, signingRequestPem, sealedKey,
      createdAt, createdBy
    FROM certificate;
  DROP TABLE certificate;
  ALTER TABLE certificateNext RENAME TO certificate;
  CREATE INDEX certificateFingerprint ON certificate (fingerprint);
  `,
];
