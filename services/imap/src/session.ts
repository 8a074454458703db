/**
 * One connection's session: its state, and what commands do with it. Reads nothing itself; serve.ts
 * pulls commands and calls their handlers with this.
 */
import { type Authenticator, LoginDesk } from '@mail/auth';
import { addressBlock, type Connection, type Places } from '@mail/line-server';
import type { Logger } from '@mail/service';
import {
  type Account,
  type AccountId,
  type MailboxId,
  type MailStore,
  type OpenedMailbox,
  StoreError,
} from '@mail/store';
import {
  type AccessibleMailbox,
  lookUpAgain,
  lookUpMailbox,
  requireAccess,
} from './access/mailboxes.ts';
import {
  amongKinds,
  canWrite,
  changeableFlags,
  has,
  type Needs,
  type Right,
  withoutWriting,
} from './access/rights.ts';
import { LastDecoded } from './decoded-part.ts';
import { ReplyError, refuse, SessionEnd } from './errors.ts';
import {
  type FlagState,
  type Heard,
  MailboxView,
  type Numbered,
  type Selection,
  type Update,
} from './mailbox-view.ts';
import { Notifications } from './notify/notifications.ts';
import type { OneByOne } from './one-by-one.ts';
import { formatSet, type MessageSet } from './parser/sequence-set.ts';
import { encodeFlags, type ResponseWriter, type StatusCode } from './response.ts';
import type { Selected, SessionState } from './state.ts';
import { ASCII_STRINGS, type StringEncoder, UTF8_STRINGS } from './strings.ts';
import { Turns } from './turns.ts';

/** Changes of a mailbox that a session takes in or tells before others have their turn. */
const TURN_CHANGES = 1024;

/** What all sessions of a process share. */
export interface SessionContext {
  readonly store: MailStore;
  readonly authenticator: Authenticator<Account>;
  readonly logger: Logger;
  /** Capabilities beyond IMAP4rev1 and IMAP4rev2 that do not depend on the connection. */
  readonly extensions: readonly string[];
  /** Octets of the largest message that APPEND takes. */
  readonly appendLimit: number;
  /** Counts messages that were stored. */
  readonly countStored: (messages: number) => void;
  /** Counts a message of which some text is sent. */
  readonly countRead: () => void;
  /** Pause between a client's login and its next commands. */
  readonly idleTimeoutMs: number;
  /** Those of each account for connections that are logged in. */
  readonly places: Places<AccountId>;
  /** How sessions take in what has happened in a mailbox. */
  readonly refreshes: OneByOne<MailboxId>;
}

/** How a command ended well. */
export interface Completion {
  readonly code?: StatusCode;
  readonly text: string;
  /** What the connection does once the client has been told. */
  readonly next?: 'start-tls' | 'end';
}

/**
 * What changes how we answer once a client knows it: CONDSTORE adds MODSEQ to what is told of flags,
 * QRESYNC has VANISHED in the place of EXPUNGE and includes CONDSTORE, UTF8=ACCEPT has strings in UTF-8,
 * IMAP4rev2 has them too and leaves out what it has dropped, METADATA tells of annotations that change,
 * UIDONLY has UIDs in the place of sequence numbers everywhere.
 */
export type Extension =
  | 'CONDSTORE'
  | 'IMAP4rev2'
  | 'METADATA'
  | 'QRESYNC'
  | 'UIDONLY'
  | 'UTF8=ACCEPT';

/** How a set names messages: by the session's sequence numbers, or by UID (RFC 3501 §6.4.8). */
export type Numbering = 'sequence' | 'uid';

export class Session {
  readonly connection: Connection;
  readonly response: ResponseWriter;
  readonly context: SessionContext;
  readonly logins: LoginDesk<Account>;
  /** Of the command that is being answered; ESEARCH repeats it. */
  tag = '*';
  /** What the client has switched on (RFC 5161, RFC 7162 §3.1). */
  readonly enabled = new Set<Extension>();
  /** Of the part that BINARY was asked of last. */
  readonly lastDecoded = new LastDecoded();
  /** What the client is told without asking. */
  readonly notifications: Notifications;
  #state: SessionState = { name: 'not-authenticated' };
  #givePlaceBack = (): void => {};
  /** In changes that are taken in or told. */
  readonly #turns = new Turns(TURN_CHANGES);

  constructor(connection: Connection, response: ResponseWriter, context: SessionContext) {
    this.connection = connection;
    this.response = response;
    this.context = context;
    this.notifications = new Notifications(this);
    this.logins = new LoginDesk(context.authenticator, addressBlock(connection.remoteAddress));
  }

  get state(): SessionState {
    return this.#state;
  }

  get store(): MailStore {
    return this.context.store;
  }

  /** Who is logged in; only for commands of states that have one. */
  get account(): Account {
    if (this.#state.name === 'not-authenticated') throw new Error('no account in this state');
    return this.#state.account;
  }

  /** The selected mailbox; only for commands of the selected state. */
  get selected(): Selected {
    if (this.#state.name !== 'selected') throw new Error('no mailbox in this state');
    return this.#state.selected;
  }

  /** What CAPABILITY says now (RFC 3501 §6.1.1). */
  get capabilities(): string {
    const { startTlsOffered, loginAllowed } = this.connection;
    return [
      'IMAP4rev1',
      'IMAP4rev2',
      ...(startTlsOffered ? ['STARTTLS'] : []),
      ...(loginAllowed ? this.#mechanisms : ['LOGINDISABLED']),
      ...this.context.extensions,
    ].join(' ');
  }

  get #mechanisms(): string[] {
    return this.logins.mechanisms(this.connection.channelBinding).map((name) => `AUTH=${name}`);
  }

  /** Throws ReplyError where the account has as many connections as it may (RFC 5530 §3: LIMIT). */
  logIn(account: Account): void {
    const giveBack = this.context.places.take(account.id);
    if (giveBack === undefined) {
      this.context.logger.info({ account: account.id }, 'refused: too many of one account');
      throw refuse('LIMIT', 'Too many connections of this account, close some first');
    }
    this.#givePlaceBack = giveBack;
    this.#state = { name: 'authenticated', account };
    this.connection.log.noteAccount(account.id);
    this.connection.idleTimeoutMs = this.context.idleTimeoutMs;
  }

  /** Makes `mailbox` the selected one, and returns how it was at that moment. Throws StoreError. */
  async select(mailbox: AccessibleMailbox, readOnly: boolean): Promise<OpenedMailbox> {
    this.deselect();
    const { account, store } = this;
    let selected: Selected | undefined;
    let opened: OpenedMailbox;
    // watched before it is read: a change in between is looked for again rather than lost
    const unwatch = store.watch(mailbox.id, () => {
      if (selected === undefined || selected.stale) return;
      selected.stale = true;
      selected.onStale?.();
    });
    try {
      opened = await store.messages.open(mailbox.id);
      const view = new MailboxView(opened);
      selected = { mailbox, view, readOnly, stale: true, onStale: undefined, unwatch };
    } catch (error) {
      unwatch();
      throw error;
    }
    this.#state = { name: 'selected', account, selected };
    return opened;
  }

  /** A command that only a client of CONDSTORE sends switches it on (RFC 7162 §3.1). */
  enableCondStore(): void {
    this.enabled.add('CONDSTORE');
  }

  get condStore(): boolean {
    return this.enabled.has('CONDSTORE');
  }

  /** Whether messages have no sequence numbers for this client (RFC 9586). */
  get uidOnly(): boolean {
    return this.enabled.has('UIDONLY');
  }

  /** Throws ReplyError where sequence numbers may not be used. */
  requireNumbers(): void {
    if (!this.uidOnly) return;
    throw new ReplyError('BAD', 'UIDREQUIRED', 'Only UIDs once UIDONLY is enabled');
  }

  /** How the client is told strings. */
  get strings(): StringEncoder {
    const utf8 = this.enabled.has('IMAP4rev2') || this.enabled.has('UTF8=ACCEPT');
    return utf8 ? UTF8_STRINGS : ASCII_STRINGS;
  }

  /** Back to the authenticated state, if a mailbox is selected. */
  deselect(): void {
    if (this.#state.name !== 'selected') return;
    this.notifications.leave();
    this.#state.selected.unwatch();
    this.#state = { name: 'authenticated', account: this.#state.account };
  }

  /** Watches nothing any more, and counts no more. Idempotent. */
  close(): void {
    this.deselect();
    this.notifications.stop();
    this.#givePlaceBack();
  }

  /** Takes in what the store has of the selected mailbox; says nothing yet. */
  async refresh(): Promise<void> {
    const { selected } = this;
    try {
      // all that watch the mailbox may want the same now
      await this.context.refreshes.run(selected.mailbox.id, () => this.#takeChanges(selected));
    } catch (error) {
      // what could not be read is told another time
      selected.stale = true;
      if (!(error instanceof StoreError && error.code === 'no-such-mailbox')) throw error;
      throw new SessionEnd('The selected mailbox was deleted', { cause: error });
    }
  }

  async #takeChanges(selected: Selected): Promise<void> {
    const { mailbox, view } = selected;
    const { highestModSeq, ownModSeqs } = view;
    selected.stale = false;
    const changes = await this.store.messages.changesSince(mailbox.id, highestModSeq, ownModSeqs);
    view.apply(changes);
    await this.#turns.spend(changes.changed.length + changes.expunged.length);
  }

  /** What the user may do with the selected mailbox. */
  get rights(): string {
    const { mailbox, readOnly } = this.selected;
    return readOnly ? withoutWriting(mailbox.rights) : mailbox.rights;
  }

  /**
   * Asks anew what the user may do with the selected mailbox, where it is somebody else's, and tells what has
   * changed (RFC 4314 §5.1.1). Throws SessionEnd where it can be read no more.
   */
  async renewRights(): Promise<void> {
    if (this.#state.name !== 'selected') return;
    const { account, selected } = this.#state;
    if (selected.mailbox.accountId === account.id) return;
    const before = this.rights;
    const mailbox = await lookUpAgain(this, selected.mailbox.id);
    if (mailbox === undefined || !has('r')(mailbox.rights)) {
      throw new SessionEnd('The selected mailbox can be read no more');
    }
    selected.mailbox = mailbox;
    if (this.rights === before) return;
    this.tellFlagsInUse(selected.view.flagsInUse);
    if (canWrite(this.rights) === canWrite(before)) return;
    this.response.notice(this.access, 'What may be done here has changed');
  }

  /** What SELECT says of it (RFC 4314 §5.2). */
  get access(): 'READ-ONLY' | 'READ-WRITE' {
    return canWrite(this.rights) ? 'READ-WRITE' : 'READ-ONLY';
  }

  /** Whether there may be something that the client wants to hear. */
  get stale(): boolean {
    const { watch, heard } = this.notifications;
    if (watch?.stale === true) return true;
    return this.#state.name === 'selected' && this.#state.selected.stale && heard.arrivals;
  }

  /** Calls back when `stale` may have turned true, until it is given another or none. */
  onStale(callback: (() => void) | undefined): void {
    if (this.#state.name === 'selected') this.#state.selected.onStale = callback;
    if (this.notifications.watch !== undefined) this.notifications.watch.onStale = callback;
  }

  /**
   * Tells the client what has happened, as far as it may be told now and is of interest to it: with
   * `expunges` false, sequence numbers stay as they are.
   */
  async tellChanges(expunges: boolean): Promise<void> {
    const { heard, expunging } = this.notifications;
    if (heard.arrivals || expunging) await this.#tellSelected(expunges, heard);
    await this.notifications.tell();
  }

  /** The same, and all of the selected mailbox. */
  async tellEverything(): Promise<void> {
    await this.#tellSelected(true, { arrivals: true, flags: true });
    await this.notifications.tell();
  }

  async #tellSelected(expunges: boolean, heard: Heard): Promise<void> {
    if (this.#state.name !== 'selected') return;
    const { selected } = this.#state;
    if (selected.stale) {
      await this.renewRights();
      await this.refresh();
    }
    this.notifications.expunging = false;
    const before = selected.view.count;
    const updates = selected.view.release(expunges, heard);
    const byUid = this.uidOnly || this.enabled.has('QRESYNC');
    if (byUid) this.#tellVanished(updates);
    for (const update of updates) {
      switch (update.kind) {
        case 'expunge':
          if (!byUid) this.response.untagged(`${update.sequence} EXPUNGE`);
          break;
        case 'exists':
          this.response.untagged(`${update.count} EXISTS`);
          break;
        case 'flags':
          this.tellFlagsInUse(update.flags);
          break;
        case 'fetch':
          this.tellFlags(update.sequence, update.message);
      }
      await this.response.room;
      const turn = this.#turns.spend(1);
      if (turn !== undefined) await turn;
    }
    const expunged = updates.filter(({ kind }) => kind === 'expunge').length;
    const { count } = selected.view;
    const added = count - (before - expunged);
    if (added > 0) await this.notifications.tellNew({ first: count - added + 1, last: count });
  }

  /** How an answer about one message begins: by its number, or by its UID where that is the only one. */
  fetchHead({ sequence, uid }: Numbered): string {
    return this.uidOnly ? `* ${uid} UIDFETCH (` : `* ${sequence} FETCH (`;
  }

  /** What is told of one message. */
  tellFetched(message: Numbered, items: readonly string[]): void {
    this.response.raw(`${this.fetchHead(message)}${items.join(' ')})\r\n`);
  }

  /** Flags of which the client has not asked, with the UID where that is not the number. */
  tellFlags(sequence: number, { uid, flags, modSeq }: FlagState): void {
    this.tellFetched({ sequence, uid }, [
      ...(this.uidOnly ? [] : [`UID ${uid}`]),
      `FLAGS ${encodeFlags(flags)}`,
      ...(this.condStore ? [`MODSEQ (${modSeq})`] : []),
    ]);
  }

  /** All at once, by UID (RFC 7162 §3.2.10). */
  #tellVanished(updates: readonly Update[]): void {
    const uids = updates.filter((update) => update.kind === 'expunge').map(({ uid }) => uid);
    if (uids.length === 0) return;
    this.response.untagged(`VANISHED ${formatSet(uids.sort((a, b) => a - b))}`);
  }

  /** FLAGS and PERMANENTFLAGS (RFC 3501 §7.2.6, §7.1). */
  tellFlagsInUse(flags: readonly string[]): void {
    this.response.untagged(`FLAGS ${encodeFlags(flags)}`);
    const permanent = [
      ...amongKinds(flags, changeableFlags(this.rights)),
      ...(has('w')(this.rights) ? ['\\*'] : []),
    ];
    this.response.notice(`PERMANENTFLAGS ${encodeFlags(permanent)}`, 'Flags that are kept');
  }

  /** The mailbox of that name, where the user may do with it what is needed. Throws ReplyError. */
  async findMailbox(
    name: string,
    needs: Needs,
    missing: 'NONEXISTENT' | 'TRYCREATE' = 'NONEXISTENT',
  ): Promise<AccessibleMailbox> {
    return requireAccess(await lookUpMailbox(this, name), needs, missing);
  }

  /** The messages that `set` names. Throws ReplyError BAD for sequence numbers that are not in use. */
  resolve(set: MessageSet, numbering: Numbering): Selection {
    const { view } = this.selected;
    const selection = numbering === 'uid' ? view.byUid(set) : view.bySequence(set);
    // RFC 3501 §9, seq-number
    if (selection === undefined) throw new ReplyError('BAD', undefined, 'No such message number');
    return selection;
  }

  /** Throws ReplyError where the user has not all of these rights to the selected mailbox. */
  requireRights(...rights: readonly Right[]): void {
    if (!rights.every((right) => has(right)(this.rights))) throw this.refusal();
  }

  /** Of what the user may not do with the selected mailbox. */
  refusal(): ReplyError {
    return this.selected.readOnly
      ? refuse(undefined, 'The mailbox was opened read-only')
      : refuse('NOPERM', 'You may not do that with this mailbox');
  }
}

/** Completion of a command over messages: some may have gone without the client's knowing (RFC 2180 §4.1). */
export function completeOver(missing: boolean, numbering: Numbering, done: Completion): Completion {
  if (missing && numbering === 'sequence') {
    throw refuse('EXPUNGEISSUED', 'Some of the messages are gone');
  }
  return done;
}
