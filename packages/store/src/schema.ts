/**
 * The tables, as Kysely sees them. The DDL is in migrations/; what the columns mean is said here.
 * Times are milliseconds since the epoch, sizes are octets, ids are never used again.
 */
import type { ColumnType, Generated, Selectable } from 'kysely';

/** Written once, when the row is made. */
type Fixed<T> = ColumnType<T, T, never>;

export interface AccountsTable {
  id: Generated<number>;
  /** As written by whoever added it, domain in lower case. */
  address: Fixed<string>;
  /** The part of it behind the "@". */
  domain: Fixed<string>;
  /** What addresses are compared by; null from removal until the mail is swept. */
  address_key: string | null;
  password_hash: string;
  /** "SCRAM-SHA-256$..." (RFC 5803 §2.1); null until the password is known. */
  scram_keys: string | null;
  created_at: Fixed<number>;
  /** Grows with each change of its mailboxes' names, its subscriptions and annotations. */
  modseq: Generated<number>;
  /** Limits on what its mailboxes hold; null where the domain's counts, -1 for none whatever that is. */
  quota_octets: number | null;
  quota_messages: number | null;
}

/** Domains whose mail is taken here. */
export interface DomainsTable {
  /** Lower-case A-labels. */
  name: Fixed<string>;
  /** Address that gets what is for nobody in the domain. */
  catch_all: string | null;
  /** For accounts without limits of their own; null for none. */
  quota_octets: number | null;
  quota_messages: number | null;
  created_at: Fixed<number>;
}

/** Addresses that stand for others; no account has one of them. */
export interface AliasesTable {
  /** As accounts have it. */
  address_key: Fixed<string>;
  address: Fixed<string>;
  domain: Fixed<string>;
  created_at: Fixed<number>;
}

export interface AliasTargetsTable {
  alias_key: Fixed<string>;
  /** What `target` is compared by. */
  target_key: Fixed<string>;
  /** An address: of an account or another alias, while there is one. */
  target: Fixed<string>;
}

export interface MailboxesTable {
  id: Generated<number>;
  account_id: Fixed<number>;
  /** MAILBOXID (RFC 8474). */
  object_id: Fixed<string>;
  /** Null from deletion until the mail is swept. */
  name: string | null;
  special_use: string | null;
  uid_validity: Fixed<number>;
  uid_next: number;
  highest_modseq: number;
  /** Counters, kept right by each write, so that STATUS reads one row. */
  messages: number;
  unseen: number;
  deleted: number;
  size: number;
}

/** Named values (RFC 5464). */
export interface AnnotationsTable {
  account_id: Fixed<number>;
  /** 0 for the account's own. */
  mailbox_id: Fixed<number>;
  /** In lower case. */
  name: Fixed<string>;
  /** Null once it is removed, so that who watches can hear of it. */
  value: Uint8Array | null;
  /** The account's, when it was set or removed. */
  modseq: number;
}

/** What others than the owner may do with a mailbox. */
export interface MailboxRightsTable {
  mailbox_id: Fixed<number>;
  account_id: Fixed<number>;
  /** Letters of RIGHTS, in its order; at least one. */
  rights: string;
}

export interface SubscriptionsTable {
  account_id: number;
  name: string;
}

/** One message in one mailbox. */
export interface MessagesTable {
  mailbox_id: Fixed<number>;
  uid: Fixed<number>;
  content_id: Fixed<number>;
  modseq: number;
  /** System flags, by the bits of flags.ts. */
  flags: number;
  /** Keywords between single spaces. */
  keywords: string;
  internal_date: Fixed<number>;
  /** When it came into this mailbox: SAVEDATE (RFC 8514). */
  saved_at: Fixed<number>;
  /** The content's size, repeated so that listing a mailbox reads one table. */
  size: Fixed<number>;
}

/** UIDs that are gone, for QRESYNC (RFC 7162 §3.2) and for who is still reading one. */
export interface TombstonesTable {
  mailbox_id: number;
  modseq: number;
  uid: number;
  /** May be swept. */
  content_id: number;
}

/** What messages hold, stored once however many mailboxes have it. */
export interface ContentsTable {
  id: Generated<number>;
  /** EMAILID (RFC 8474), POP3 UIDL. */
  email_id: Fixed<string>;
  size: Fixed<number>;
  /** 1 where the last two octets are CRLF, or there are none; 0 otherwise. */
  ends_in_crlf: Fixed<number>;
  /** Messages that hold it; 0 waits to be swept. */
  refs: number;
  /** Not swept before: who reads an expunged message may end. 0 where it was never expunged. */
  keep_until: number;
}

/** MessageStructure of @mail/message as JSON; apart from contents, whose rows change often. */
export interface StructuresTable {
  content_id: Fixed<number>;
  structure: string;
}

/**
 * What IMAP tells of a content, where every client is told the same; else null. Apart from
 * structures, so that reading those of many messages reads little else.
 */
export interface RenderingsTable {
  content_id: Fixed<number>;
  envelope: Fixed<string | null>;
  body_structure: Fixed<string | null>;
}

/** Which UIDs a mailbox has, as UidSet holds them, and their flags, as FlagOctets does. */
export interface UidBlocksTable {
  mailbox_id: Fixed<number>;
  number: Fixed<number>;
  bits: Uint8Array;
  flags: Uint8Array;
}

/** Keywords that messages of a mailbox have had, each as it was written first. */
export interface MailboxKeywordsTable {
  mailbox_id: Fixed<number>;
  /** In lower case. */
  keyword_key: Fixed<string>;
  keyword: Fixed<string>;
}

/** The octets, CHUNK_BYTES to a row, so that a partial read touches what it needs. */
export interface ContentChunksTable {
  content_id: Fixed<number>;
  position: Fixed<number>;
  data: Fixed<Uint8Array>;
}

export interface AppPasswordsTable {
  id: Generated<number>;
  account_id: Fixed<number>;
  name: Fixed<string>;
  hash: Fixed<string>;
  /** As accounts have it. */
  scram_keys: Fixed<string | null>;
  created_at: Fixed<number>;
  expires_at: Fixed<number | null>;
  /** True to the hour: not each login is written. */
  last_used_at: number | null;
}

/** Of logins, as login-records.ts says. */
export interface LoginRecordsTable {
  kind: Fixed<'origin' | 'account' | 'known'>;
  key: Fixed<string>;
  failures: number;
  last_at: number;
}

/** Made once, with the database, and shared by all that open it. */
export interface SecretsTable {
  name: string;
  /** Base64. */
  value: string;
}

/** What SEARCH looks through, folded: SearchTexts of @mail/message. The columns lie in the order of their use. */
export interface ContentTextsTable {
  content_id: Fixed<number>;
  /** 1 where the text index has it, and for good. */
  indexed: number;
  /** What was too long to be here whole: 1 the headers, 2 the body, 3 both. */
  cut: Fixed<number>;
  header: Fixed<string>;
  body: Fixed<string>;
}

export interface CountersTable {
  name: string;
  value: number;
}

export interface SchemaMigrationsTable {
  number: number;
  name: string;
  applied_at: number;
}

export interface Schema {
  accounts: AccountsTable;
  domains: DomainsTable;
  aliases: AliasesTable;
  alias_targets: AliasTargetsTable;
  mailboxes: MailboxesTable;
  mailbox_rights: MailboxRightsTable;
  subscriptions: SubscriptionsTable;
  annotations: AnnotationsTable;
  messages: MessagesTable;
  tombstones: TombstonesTable;
  contents: ContentsTable;
  content_chunks: ContentChunksTable;
  content_texts: ContentTextsTable;
  structures: StructuresTable;
  renderings: RenderingsTable;
  uid_blocks: UidBlocksTable;
  mailbox_keywords: MailboxKeywordsTable;
  app_passwords: AppPasswordsTable;
  login_records: LoginRecordsTable;
  secrets: SecretsTable;
  counters: CountersTable;
  schema_migrations: SchemaMigrationsTable;
}

export type MailboxRow = Selectable<MailboxesTable>;
export type MessageRow = Selectable<MessagesTable>;
