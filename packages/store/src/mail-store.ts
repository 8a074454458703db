/**
 * The one interface to accounts, mailboxes and messages. Engines implement it; services know nothing
 * else of the store. Every method throws StoreError for what it refuses; anything else is a bug.
 *
 * Ids are opaque. Mailbox names are Unicode with "/" between levels; "INBOX" in any case is INBOX
 * (RFC 9051 §5.1). UIDs are 1 to 4294967295 (RFC 9051 §2.3.1.1); modification sequences are whole
 * numbers below 2^53 that grow with each change in a mailbox (RFC 7162 §3.1).
 */
import type { MessageStructure } from '@mail/message';
import type { CheckOptions, CheckReport } from './check-report.ts';
import type { UidSet } from './uid-set.ts';

export type AccountId = number;
export type MailboxId = number;
export type Uid = number;
export type ModSeq = number;

export interface Account {
  readonly id: AccountId;
  /** The whole address, domain in lower case: what a user logs in with. */
  readonly address: string;
  readonly createdAt: Date;
}

export interface Mailbox {
  readonly id: MailboxId;
  readonly accountId: AccountId;
  readonly name: string;
  /** Stable for ever, through renaming too (RFC 8474 §4). */
  readonly objectId: string;
  readonly uidValidity: number;
  readonly subscribed: boolean;
  /** "\\Drafts" and the like (RFC 6154). */
  readonly specialUse: string | undefined;
}

export interface MailboxStatus {
  readonly messages: number;
  readonly unseen: number;
  readonly deleted: number;
  readonly uidNext: Uid;
  readonly uidValidity: number;
  readonly highestModSeq: ModSeq;
  /** Octets of all messages. */
  readonly size: number;
}

/** What one row says of a message. */
export interface MessageSummary {
  readonly uid: Uid;
  /** System flags ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft") and keywords. */
  readonly flags: readonly string[];
  readonly modSeq: ModSeq;
  /** Octets of the message as stored, CRLF line ends. */
  readonly size: number;
  readonly internalDate: Date;
  /** When it came into this mailbox, in milliseconds since the epoch (RFC 8514). */
  readonly savedAt: number;
}

/** As a maildrop is listed. */
export interface ListedMessage extends MessageSummary {
  /** Whether its last line has an end, or it is empty: POP3 adds one where there is none. */
  readonly endsInCrlf: boolean;
  /** Stable for ever and across mailboxes; the content's identity (POP3 UIDL, RFC 8474). */
  readonly emailId: string;
}

/** A mailbox as a session begins with it: nothing of it grows with the number of messages but the set's bits. */
export interface OpenedMailbox {
  readonly uids: UidSet;
  readonly uidNext: Uid;
  readonly highestModSeq: ModSeq;
  readonly firstUnseen: Uid | undefined;
  /** Those that its messages have had. */
  readonly keywords: readonly string[];
}

/** What is ready to be told of messages: ENVELOPE, BODYSTRUCTURE. */
export type RenderedItem = 'envelope' | 'body-structure';

/** A message after its flags were to be changed. */
export interface ChangedFlags {
  readonly uid: Uid;
  readonly flags: readonly string[];
  readonly modSeq: ModSeq;
  /** Of the message as it was; equal to `modSeq` where nothing changed. */
  readonly previousModSeq: ModSeq;
}

export interface NewMessage {
  /** RFC 5322, CRLF line ends; in pieces where it has arrived so. Copied: the caller keeps its memory. */
  readonly raw: Uint8Array | readonly Uint8Array[];
  readonly flags?: readonly string[];
  readonly internalDate?: Date;
}

/** A message that is to come into a mailbox once, however often it is brought. */
export interface KeyedMessage extends NewMessage {
  /** What it is known by: the same for the same message of the same source, whenever that is read. */
  readonly key: string;
}

export interface AppendedMessage {
  readonly uid: Uid;
  readonly uidValidity: number;
}

export interface MailboxChanges {
  /** New messages and those whose flags changed, in UID order. */
  readonly changed: readonly MessageSummary[];
  readonly expunged: readonly Uid[];
  readonly highestModSeq: ModSeq;
}

/** `first` to `last`, both included. */
export interface UidRange {
  readonly first: Uid;
  readonly last: Uid;
}

/** What a message is searched for (RFC 9051 §6.4.4), in any case (RFC 5051) and decoded. */
export interface SoughtText {
  /** Is found within words too; the empty one is in every text. */
  readonly value: string;
  /** Its texts, those and its headers, or the fields of its own header that have a name in any case. */
  readonly within: 'body' | 'text' | { readonly field: string };
}

/** What is known of the messages up to `upTo`, and with it. */
export interface TextPage {
  /** Those that have the text, in order. */
  readonly uids: readonly Uid[];
  readonly upTo: Uid;
}

export type FlagChange = 'replace' | 'add' | 'remove';

/** Flags that one may be kept from: \\Seen, \\Deleted, and all others (RFC 4314 §4). */
export type FlagKind = 'seen' | 'deleted' | 'other';

/** A mailbox of somebody else, by what a user may do with it. */
export interface SharedMailbox {
  /** As its owner has it. */
  readonly mailbox: MailboxOverview;
  readonly owner: Account;
  /** Letters of RIGHTS, in its order (RFC 4314 §2.1); empty where the user has none. */
  readonly rights: string;
}

/** What a mailbox's owner, or who may, has given somebody. */
export interface Grant {
  readonly account: Account;
  /** As in SharedMailbox, at least one. */
  readonly rights: string;
}

/** A mailbox with what it counts. */
export interface MailboxOverview extends Mailbox {
  readonly status: MailboxStatus;
}

/** One annotation without its value. */
export interface AnnotationSummary {
  /** In lower case, as all names are: "/private/comment" (RFC 5464 §3.2). */
  readonly name: string;
  /** Octets of the value. */
  readonly size: number;
}

/** An annotation that was set or removed. */
export interface AnnotationChange {
  /** Undefined for the account's own. The mailbox may be gone. */
  readonly mailboxId: MailboxId | undefined;
  readonly name: string;
  /** The account's, of that write. */
  readonly modSeq: ModSeq;
}

/** All of an account at one moment. */
export interface AccountOverview {
  /** Grows with each change of names, subscriptions and annotations. */
  readonly modSeq: ModSeq;
  /** In order of name, INBOX first. */
  readonly mailboxes: readonly MailboxOverview[];
  /** In that order too; some may have no mailbox. */
  readonly subscriptions: readonly string[];
  /** Set or removed after the modification sequence that was asked for, in that order. */
  readonly annotations: readonly AnnotationChange[];
}

/** A password as it is kept. Plain text, so that it can be told from one program to the next. */
export interface NewPassword {
  /** A PHC string. */
  readonly passwordHash: string;
  /** "SCRAM-SHA-256$..." (RFC 5803 §2.1) of the same password; without them only PLAIN and its like can be used. */
  readonly scramKeys?: string | undefined;
}

export interface StoredCredentials extends NewPassword {
  readonly account: Account;
}

export interface AppPassword {
  readonly id: number;
  /** What its user calls it, unique in the account. */
  readonly name: string;
  readonly createdAt: Date;
  /** Not to be taken from then on; undefined for one that lasts. */
  readonly expiresAt: Date | undefined;
  /** True to the hour. */
  readonly lastUsedAt: Date | undefined;
}

export interface NewAppPassword {
  readonly name: string;
  /** Text that is equal for equal passwords and tells nothing of them. */
  readonly hash: string;
  readonly scramKeys?: string | undefined;
  readonly expiresAt?: Date | undefined;
}

/** The passwords of programs, beside the account's own. */
export interface AppPasswords {
  /**
   * Throws no-such-account, app-password-exists for a name that is taken, bad-app-password-name,
   * too-many-app-passwords.
   */
  add(accountId: AccountId, appPassword: NewAppPassword): Promise<AppPassword>;
  /** In order of name, expired ones too. */
  list(accountId: AccountId): Promise<AppPassword[]>;
  /** Throws no-such-app-password. */
  remove(accountId: AccountId, name: string): Promise<void>;
  /** The one of that account with that hash, expired or not. */
  find(
    address: string,
    hash: string,
  ): Promise<{ account: Account; appPassword: AppPassword } | undefined>;
  /** Those of an account that SCRAM can be used with, expired or not; none for an id that nobody has. */
  keys(accountId: AccountId): Promise<{ appPassword: AppPassword; scramKeys: string }[]>;
  noteUse(id: number): Promise<void>;
}

/** What a record of logins is about: failures of an origin or an account, or a pair that is known. */
export interface LoginKey {
  readonly kind: 'origin' | 'account' | 'known';
  /** Opaque, and short. */
  readonly key: string;
}

export interface LoginNote extends LoginKey {
  /** More of them than the record has, 0 for one that only says when. */
  readonly failures: number;
}

export interface LoginRecord extends LoginNote {
  /** Milliseconds since the epoch, by the clock of whoever wrote. */
  readonly lastAt: number;
}

/** What processes tell each other of logins. */
export interface Logins {
  /** Random octets, the same for ever: salts are made with them. */
  saltSecret(): Promise<Buffer>;
  /** Those of `keys` that have a record. */
  records(keys: readonly LoginKey[]): Promise<LoginRecord[]>;
  /**
   * Adds to the records, and makes those that are missing. What nobody has added to for `memoryMs` is
   * forgotten, and of each kind beyond `keepAtMost` what is oldest.
   */
  note(notes: readonly LoginNote[], memoryMs: number, keepAtMost: number): Promise<void>;
}

export interface Accounts {
  /**
   * Adds an account with INBOX and the default folders (Drafts, Sent, Junk, Trash, Archive), all of
   * them subscribed; and its domain, where that is not here yet. Throws account-exists, alias-exists,
   * bad-address.
   */
  add(address: string, passwordHash: string, scramKeys?: string): Promise<Account>;
  list(): Promise<Account[]>;
  /** By whole address, case of the domain and of the local part ignored. */
  find(address: string): Promise<Account | undefined>;
  /** The one that was added first, of a domain (lower-case A-labels) where one is named. */
  findOldest(domain?: string): Promise<Account | undefined>;
  /** What a login is checked against; undefined where there is no such account. */
  credentials(address: string): Promise<StoredCredentials | undefined>;
  /** Application passwords stay. Throws no-such-account, as remove does. */
  setPassword(id: AccountId, password: NewPassword): Promise<void>;
  /**
   * Puts `to` in the place of the password whose hash is `from`; where that is no longer there, whatever
   * was set since stays.
   */
  renewPassword(id: AccountId, from: string, to: NewPassword): Promise<void>;
  /**
   * Removes the account at once and then its mail; resolves when all of it is gone but what was expunged
   * in the last half hour, which goes by itself.
   */
  remove(id: AccountId): Promise<void>;
}

/** The most that something may hold; undefined for no limit. */
export interface Limits {
  readonly octets: number | undefined;
  readonly messages: number | undefined;
}

/** Limits to be put in the place of what is there; what is left out stays. */
export interface LimitsChange {
  readonly octets?: number | 'none';
  readonly messages?: number | 'none';
}

/** As LimitsChange; "default" for what the account's domain has, "none" for no limit whatever that is. */
export interface AccountLimitsChange {
  readonly octets?: number | 'none' | 'default';
  readonly messages?: number | 'none' | 'default';
}

export interface Domain {
  /** Lower-case A-labels. */
  readonly name: string;
  /** Address that gets what is for nobody in the domain. */
  readonly catchAll: string | undefined;
  /** Of its accounts that have none of their own. */
  readonly limits: Limits;
  readonly createdAt: Date;
}

export interface ListedDomain extends Domain {
  readonly accounts: number;
  readonly aliases: number;
}

export interface DomainChange extends LimitsChange {
  /** Null for none. */
  readonly catchAll?: string | null;
}

/** The domains whose mail is taken here. */
export interface Domains {
  /** Throws domain-exists, bad-domain, and what change throws. */
  add(name: string, change?: DomainChange): Promise<Domain>;
  /** In order of name. */
  list(): Promise<ListedDomain[]>;
  /** Throws no-such-domain, and for a catch-all what Aliases.add throws for a target. */
  change(name: string, change: DomainChange): Promise<Domain>;
  /** Throws no-such-domain, domain-in-use for one with accounts or aliases, naming them. */
  remove(name: string): Promise<void>;
}

export interface AliasTarget {
  readonly address: string;
  /** False where it leads to no account any more: mail goes past it. */
  readonly reachable: boolean;
}

export interface Alias {
  readonly address: string;
  /** In order, at least one. */
  readonly targets: readonly AliasTarget[];
  readonly createdAt: Date;
}

/** Addresses that stand for accounts, or for other aliases. */
export interface Aliases {
  /**
   * Adds targets to an alias, and makes it where there is none. Throws bad-address, no-such-domain for an
   * alias in a domain that is not here, account-exists, target-not-local, no-such-target for one that leads
   * to no account, alias-too-large.
   */
  add(address: string, targets: readonly string[]): Promise<Alias>;
  /** In order of address. */
  list(): Promise<Alias[]>;
  /** Takes targets away, or all; an alias without any is gone. Throws no-such-alias, no-such-target. */
  remove(address: string, targets?: readonly string[]): Promise<void>;
}

/** Who gets mail for an address: accounts, at least one, each once. */
export type Resolution = readonly Account[] | 'no-such-address' | 'not-local';

/** Which addresses are here, and whose they are. */
export interface Directory {
  readonly domains: Domains;
  readonly aliases: Aliases;
  /**
   * An account's address, an alias's, either of them with a tag ("alice+lists@x.test"), or else the
   * domain's catch-all; in that order. Throws alias-too-large for aliases of aliases without measure.
   */
  resolve(address: string): Promise<Resolution>;
}

/** What the mailboxes of an account hold, deleted ones not counted, and what they may (RFC 9208 §5). */
export interface Quota {
  readonly used: { readonly octets: number; readonly messages: number };
  /** Those in force: its own, or its domain's. */
  readonly limits: Limits;
}

export interface AccountQuota extends Quota {
  readonly account: Account;
}

/** What accounts may hold. Every write that would exceed it throws over-quota; what takes nothing more never does. */
export interface Quotas {
  /** Throws no-such-account, as change does. */
  read(accountId: AccountId): Promise<Quota>;
  /** Of all accounts, in order of address. */
  list(): Promise<AccountQuota[]>;
  /** A limit below what is used is no error: nothing more comes in then. */
  change(accountId: AccountId, change: AccountLimitsChange): Promise<void>;
}

export interface Mailboxes {
  /** In order of name, INBOX first. */
  list(accountId: AccountId): Promise<Mailbox[]>;
  find(accountId: AccountId, name: string): Promise<Mailbox | undefined>;
  /**
   * Makes missing superior levels as well. One "/" at the end is cut (RFC 9051 §6.3.4). `specialUse` is
   * one of \\Archive, \\Drafts, \\Junk, \\Sent, \\Trash, the others being views. Throws mailbox-exists,
   * bad-mailbox-name, too-many-mailboxes, no-such-account.
   */
  create(accountId: AccountId, name: string, specialUse?: string): Promise<Mailbox>;
  /** Inferiors stay. Throws mailbox-not-deletable for INBOX, no-such-mailbox. */
  delete(id: MailboxId): Promise<void>;
  /**
   * Renames inferiors as well, and them alone where `from` is only their superior; of INBOX it moves the
   * messages (RFC 9051 §6.3.6). Subscriptions stay with their names. Throws no-such-mailbox,
   * mailbox-exists, bad-mailbox-name, too-many-mailboxes.
   */
  rename(accountId: AccountId, from: string, to: string): Promise<void>;
  /** Also names that have no mailbox can be subscribed (RFC 9051 §6.3.7). Throws too-many-subscriptions. */
  subscribe(accountId: AccountId, name: string, subscribed: boolean): Promise<void>;
  subscriptions(accountId: AccountId): Promise<string[]>;
  status(id: MailboxId): Promise<MailboxStatus>;
  /** Octets of the messages with \\Deleted; costs a look at each of those. */
  deletedSize(id: MailboxId): Promise<number>;
}

/**
 * Mailboxes that several accounts have (RFC 4314). The owner has all rights; what others have is told here,
 * and whoever asks keeps to it: other methods do what they are asked, for anybody. Rights stay with a mailbox
 * that is renamed and go with it when it is deleted; one that is made gets those of the mailbox above.
 */
export interface Sharing {
  /** What others have given this account rights to, of very many the oldest; in order of owner and name. */
  list(accountId: AccountId): Promise<SharedMailbox[]>;
  /** Of the owner with that address; undefined where that is the account itself. */
  find(accountId: AccountId, owner: string, name: string): Promise<SharedMailbox | undefined>;
  /** As find, by id. */
  read(accountId: AccountId, mailboxId: MailboxId): Promise<SharedMailbox | undefined>;
  /** In order of address, the owner aside. Throws no-such-mailbox. */
  grants(mailboxId: MailboxId): Promise<Grant[]>;
  /**
   * Durable; counts as a change of the mailbox and of the account. Throws no-such-mailbox, no-such-account, rights-of-owner
   * where the owner would not have all, too-many-rights.
   */
  change(
    mailboxId: MailboxId,
    accountId: AccountId,
    change: FlagChange,
    rights: string,
  ): Promise<void>;
}

/**
 * Named values of mailboxes, and of the account itself where no mailbox is named (RFC 5464). A mailbox's use
 * is one, "/private/specialuse" (RFC 6154 §4). They go with their mailbox, and stay with it when it is renamed.
 * Of a mailbox that is shared each account has "/private/..." for itself, and all have "/shared/..." together.
 */
export interface Annotations {
  /** In order of name. Throws no-such-mailbox, no-such-account, as read does. */
  list(accountId: AccountId, mailboxId: MailboxId | undefined): Promise<AnnotationSummary[]>;
  /** The values of those of `names` that there are. */
  read(
    accountId: AccountId,
    mailboxId: MailboxId | undefined,
    names: readonly string[],
  ): Promise<Map<string, Uint8Array>>;
  /**
   * Durable, all or none; a value of undefined removes. Returns the account's modification sequence then.
   * Names are "/private/..." or "/shared/...", in lower case. Throws bad-annotation, bad-special-use,
   * annotation-too-large, too-many-annotations, no-such-mailbox, no-such-account.
   */
  set(
    accountId: AccountId,
    mailboxId: MailboxId | undefined,
    values: readonly (readonly [name: string, value: Uint8Array | undefined])[],
  ): Promise<ModSeq>;
}

export interface Messages {
  /**
   * All recipients' INBOX in one durable transaction: after it resolves, power may fail. Each recipient
   * gets one copy however often it is named. Throws no-such-account, over-quota (nobody gets it then),
   * too-large, bad-flag.
   */
  deliver(recipients: readonly AccountId[], message: NewMessage): Promise<void>;
  /** Durable; all of them or none (RFC 3502). Throws no-such-mailbox, over-quota, too-large, bad-flag. */
  append(mailboxId: MailboxId, messages: readonly NewMessage[]): Promise<AppendedMessage[]>;
  /**
   * As append, but leaves out each whose key has come into this mailbox before, as long as that message is
   * anywhere; returns how many were appended. Callers need no memory of what they had brought when they
   * died.
   */
  appendOnce(mailboxId: MailboxId, messages: readonly KeyedMessage[]): Promise<number>;
  /**
   * Durable and in one transaction: appends to `target`, which may be the same mailbox, and expunges `uid`
   * (RFC 8508). Throws no-such-message where that is gone, and then appends nothing; else as append.
   */
  replace(
    mailboxId: MailboxId,
    uid: Uid,
    target: MailboxId,
    message: NewMessage,
  ): Promise<AppendedMessage>;
  /** Every message of a mailbox, with the state they were read at; for maildrops, since each is a row. */
  list(mailboxId: MailboxId): Promise<{ messages: ListedMessage[]; highestModSeq: ModSeq }>;
  /** Throws no-such-mailbox, as every method does that is given a mailbox. */
  open(mailboxId: MailboxId): Promise<OpenedMailbox>;
  /** Of `uids`, ascending, those that exist; in order. Callers ask for pages of some hundreds. */
  summaries(mailboxId: MailboxId, uids: readonly Uid[]): Promise<MessageSummary[]>;
  /**
   * The flags of each of `uids`, ascending: undefined of one that does not exist. Costs much less than
   * summaries.
   */
  flags(mailboxId: MailboxId, uids: readonly Uid[]): Promise<(readonly string[] | undefined)[]>;
  /** Messages without \\Seen, or with \\Deleted; in order. Costs nothing for the others. */
  marked(mailboxId: MailboxId, mark: 'unseen' | 'deleted'): Promise<Uid[]>;
  /** Of messages that have come or changed since; in order. */
  changedUids(mailboxId: MailboxId, modSeq: ModSeq): Promise<Uid[]>;
  /** Without what the writes with the sequences `except` have changed last. */
  changesSince(
    mailboxId: MailboxId,
    modSeq: ModSeq,
    except?: readonly ModSeq[],
  ): Promise<MailboxChanges>;
  /**
   * What was expunged after one modification sequence, up to another and with it; in order, known for as
   * long as the mailbox is there.
   */
  expungedBetween(mailboxId: MailboxId, after: ModSeq, upTo: ModSeq): Promise<UidRange[]>;
  /**
   * The whole message, or octets from `start` up to `end`. An expunged one can be read for half an hour
   * more, so that no session loses it in the middle. Throws no-such-message.
   */
  read(mailboxId: MailboxId, uid: Uid, start?: number, end?: number): Promise<Buffer>;
  /**
   * Of whole messages of at most CHUNK_BYTES those of `uids`, ascending; others are left out, and so are
   * empty ones. Callers bound the octets that they ask for.
   */
  readSmall(mailboxId: MailboxId, uids: readonly Uid[]): Promise<Map<Uid, Buffer>>;
  /** Computed at delivery. `uids` ascending; those that are gone are left out, as in the next two. */
  structures(mailboxId: MailboxId, uids: readonly Uid[]): Promise<Map<Uid, MessageStructure>>;
  /**
   * As IMAP tells it of each of `uids`, ascending: null of a message of which clients are told differently,
   * undefined of one that does not exist.
   */
  rendered(
    mailboxId: MailboxId,
    uids: readonly Uid[],
    item: RenderedItem,
  ): Promise<(string | null | undefined)[]>;
  /** Stable for ever and across mailboxes; the content's identity (RFC 8474). */
  emailIds(mailboxId: MailboxId, uids: readonly Uid[]): Promise<Map<Uid, string>>;
  /**
   * Which messages of `range` have a text. Answers for as many as can be looked at in a moment: go on behind
   * `upTo` until that is the end of the range.
   */
  findText(mailboxId: MailboxId, sought: SoughtText, range: UidRange): Promise<TextPage>;
  /**
   * Durable. Returns those of `uids` that exist, in UID order, as they are now. The modification
   * sequence grows only where something changed. With `unchangedSince`, those that have changed since are
   * left alone and out of what is returned (RFC 7162 §3.1.3). Throws bad-flag for what is neither a system
   * flag nor a keyword.
   */
  changeFlags(
    mailboxId: MailboxId,
    uids: readonly Uid[],
    change: FlagChange,
    flags: readonly string[],
    options?: {
      readonly unchangedSince?: ModSeq | undefined;
      /** Others stay as they are, whatever is asked. */
      readonly only?: readonly FlagKind[] | undefined;
    },
  ): Promise<ChangedFlags[]>;
  /**
   * Removes those of `uids` that exist, with `onlyDeleted` those that have \\Deleted at that moment,
   * whatever a session has seen of them; returns them in UID order. Durable, all or none.
   */
  expunge(
    mailboxId: MailboxId,
    uids: readonly Uid[],
    options?: { readonly onlyDeleted: boolean },
  ): Promise<Uid[]>;
  /**
   * Copies what exists of `uids`, in the order of UIDs, flags and dates kept; content is not stored again, and counts
   * for quotas all the same. Only flags of the kinds to `keep` go along. Throws over-quota.
   */
  copy(
    mailboxId: MailboxId,
    uids: readonly Uid[],
    target: MailboxId,
    keep?: readonly FlagKind[],
  ): Promise<{ from: Uid[]; to: Uid[]; uidValidity: number }>;
  /** As copy, and gone from the source in the same transaction (RFC 6851): within an account nothing grows. */
  move(
    mailboxId: MailboxId,
    uids: readonly Uid[],
    target: MailboxId,
    keep?: readonly FlagKind[],
  ): Promise<{ from: Uid[]; to: Uid[]; uidValidity: number }>;
}

/** RFC 1939 §3: one POP3 session at a time on a maildrop, over all processes. */
export interface MaildropLock {
  /** Idempotent. Also let go when the process dies. */
  release(): Promise<void>;
  /** Aborted when the lock is lost though nobody released it: another session may have the maildrop now. */
  readonly lost: AbortSignal;
}

/** Since the store was opened, of this process. */
export interface StoreStatistics {
  /** Durable transactions. */
  readonly commits: number;
  /** Writes that were asked for and answered; several share a commit when they come together. */
  readonly writes: number;
}

export interface MailStore {
  readonly accounts: Accounts;
  readonly appPasswords: AppPasswords;
  readonly logins: Logins;
  readonly directory: Directory;
  readonly quotas: Quotas;
  readonly mailboxes: Mailboxes;
  readonly sharing: Sharing;
  readonly annotations: Annotations;
  readonly messages: Messages;
  /** With annotations that have changed after `since`, none where it is undefined. Throws no-such-account. */
  overview(accountId: AccountId, since?: ModSeq): Promise<AccountOverview>;
  /** Throws maildrop-locked. */
  lockMaildrop(accountId: AccountId): Promise<MaildropLock>;
  /**
   * Calls back soon after any process changed that mailbox; now and then without a change. Watch first,
   * then read: what is read then is never older than what is called back for. Returns how to stop it.
   */
  watch(mailboxId: MailboxId, changed: () => void): () => void;
  /** As watch, for all that an overview tells. */
  watchAccount(accountId: AccountId, changed: () => void): () => void;
  /**
   * Checks the whole store, also while services use it, and mends it where that is asked for. Reads all of
   * it: for a process that does nothing else.
   */
  check(options: CheckOptions): Promise<CheckReport>;
  /** Rejects when the store can write no more and this process should end; never resolves. */
  readonly failed: Promise<never>;
  statistics(): StoreStatistics;
  /** Waits for what is under way, then closes. Idempotent. */
  close(): Promise<void>;
}
