/** The store over an engine: which query or write answers which method. */
import type { Logger } from '@mail/service';
import { readOverview } from './account-overview.ts';
import { findAccount, findOldestAccount, listAccounts, readCredentials } from './accounts.ts';
import { listAliases } from './aliases.ts';
import { listAnnotations, readAnnotations } from './annotations.ts';
import { findAppPassword, listAppPasswords, readAppPasswordKeys } from './app-passwords.ts';
import { ChangeFeed } from './change-feed.ts';
import { checkStore } from './check.ts';
import { readContent, requireStorable } from './content.ts';
import { listDomains } from './domains.ts';
import type { Engine } from './engine.ts';
import { requireAccount } from './existence.ts';
import { readLoginRecords, readSaltSecret } from './login-records.ts';
import type {
  Accounts,
  Annotations,
  AppPasswords,
  Directory,
  Logins,
  Mailboxes,
  MailStore,
  Messages,
  Quotas,
  Sharing,
} from './mail-store.ts';
import { findMailbox, listMailboxes, listSubscriptions, readStatus } from './mailboxes.ts';
import { listQuotas, readQuota } from './quotas.ts';
import { resolveAddress } from './resolve.ts';
import { TextIndexer } from './search-indexer.ts';
import { findShared, listGrants, listShared, readShared } from './shared-mailboxes.ts';
import {
  listMessages,
  openMailbox,
  readChangedUids,
  readChanges,
  readDeletedSize,
  readEmailIds,
  readExpunged,
  readFlags,
  readMarked,
  readRendered,
  readSmall,
  readStructures,
  readSummaries,
} from './summaries.ts';
import { Sweeper } from './sweeper.ts';

export function createStore(engine: Engine, logger: Logger): MailStore {
  const feed = new ChangeFeed(engine, logger);
  const sweeper = new Sweeper(engine, logger);
  const indexer = new TextIndexer(engine, logger);

  const accounts: Accounts = {
    add: (address, passwordHash, scramKeys) =>
      engine.write('addAccount', { address, passwordHash, scramKeys }),
    list: () => engine.read(listAccounts),
    find: (address) => engine.read((db) => findAccount(db, address)),
    findOldest: (domain) => engine.read((db) => findOldestAccount(db, domain)),
    credentials: (address) => engine.read((db) => readCredentials(db, address)),
    setPassword: (id, password) => engine.write('setPassword', { id, ...password }),
    renewPassword: (id, from, to) => engine.write('renewPassword', { id, from, to }),
    async remove(id) {
      await engine.write('removeAccount', { id });
      await sweeper.sweep();
    },
  };

  const appPasswords: AppPasswords = {
    add: (accountId, appPassword) => engine.write('addAppPassword', { accountId, ...appPassword }),
    list: (accountId) => engine.read((db) => listAppPasswords(db, accountId)),
    remove: (accountId, name) => engine.write('removeAppPassword', { accountId, name }),
    find: (address, hash) => engine.read((db) => findAppPassword(db, address, hash)),
    keys: (accountId) => engine.read((db) => readAppPasswordKeys(db, accountId)),
    noteUse: (id) => engine.write('noteAppPasswordUse', { id }),
  };

  const logins: Logins = {
    saltSecret: () => engine.read(readSaltSecret),
    records: (keys) => engine.read((db) => readLoginRecords(db, keys)),
    note: (notes, memoryMs, keepAtMost) =>
      engine.write('noteLogins', { notes, memoryMs, keepAtMost }),
  };

  const directory: Directory = {
    domains: {
      add: (name, change = {}) => engine.write('addDomain', { name, change }),
      list: () => engine.readAtOnce(listDomains),
      change: (name, change) => engine.write('changeDomain', { name, change }),
      remove: (name) => engine.write('removeDomain', { name }),
    },
    aliases: {
      add: (address, targets) => engine.write('addAlias', { address, targets }),
      list: () => engine.read(listAliases),
      remove: (address, targets) => engine.write('removeAlias', { address, targets }),
    },
    resolve: (address) => engine.read((db) => resolveAddress(db, address)),
  };

  const quotas: Quotas = {
    read: (accountId) => engine.read((db) => readQuota(db, accountId)),
    list: () => engine.read(listQuotas),
    change: (id, change) => engine.write('changeQuota', { id, change }),
  };

  const mailboxes: Mailboxes = {
    list: (accountId) => engine.read((db) => listMailboxes(db, accountId)),
    find: (accountId, name) => engine.read((db) => findMailbox(db, accountId, name)),
    create: (accountId, name, specialUse) =>
      engine.write('createMailbox', { accountId, name, specialUse }),
    async delete(id) {
      await engine.write('deleteMailbox', { id });
      sweeper.sweepInBackground();
    },
    rename: (accountId, from, to) => engine.write('renameMailbox', { accountId, from, to }),
    subscribe: (accountId, name, subscribed) =>
      engine.write('setSubscription', { accountId, name, subscribed }),
    subscriptions: (accountId) => engine.read((db) => listSubscriptions(db, accountId)),
    status: (id) => engine.read((db) => readStatus(db, id)),
    deletedSize: (id) => engine.read((db) => readDeletedSize(db, id)),
  };

  const sharing: Sharing = {
    list: (accountId) => engine.read((db) => listShared(db, accountId)),
    find: (accountId, owner, name) => engine.read((db) => findShared(db, accountId, owner, name)),
    read: (accountId, mailboxId) => engine.read((db) => readShared(db, accountId, mailboxId)),
    grants: (mailboxId) => engine.readAtOnce((db) => listGrants(db, mailboxId)),
    change: (mailboxId, accountId, change, rights) =>
      engine.write('changeRights', { mailboxId, accountId, change, rights }),
  };

  const annotations: Annotations = {
    list: (accountId, mailboxId) =>
      engine.readAtOnce((db) => listAnnotations(db, { accountId, mailboxId })),
    read: (accountId, mailboxId, names) =>
      engine.readAtOnce((db) =>
        readAnnotations(db, { annotated: { accountId, mailboxId }, names }),
      ),
    set: (accountId, mailboxId, values) =>
      engine.write('setAnnotations', { annotated: { accountId, mailboxId }, values }),
  };

  const messages: Messages = {
    async deliver(recipients, message) {
      requireStorable(message.raw);
      await engine.write('deliver', { recipients, message });
    },
    async append(mailboxId, appended) {
      for (const { raw } of appended) requireStorable(raw);
      return engine.write('append', { mailboxId, messages: appended });
    },
    async appendOnce(mailboxId, messages) {
      for (const { raw } of messages) requireStorable(raw);
      return engine.write('appendOnce', { mailboxId, messages });
    },
    async replace(mailboxId, uid, target, message) {
      requireStorable(message.raw);
      return engine.write('replace', { mailboxId, uid, target, message });
    },
    list: (mailboxId) => engine.readAtOnce((db) => listMessages(db, mailboxId)),
    open: (mailboxId) => engine.readAtOnce((db) => openMailbox(db, mailboxId)),
    summaries: (mailboxId, uids) => engine.read((db) => readSummaries(db, mailboxId, uids)),
    flags: (mailboxId, uids) => engine.read((db) => readFlags(db, mailboxId, uids)),
    marked: (mailboxId, mark) => engine.read((db) => readMarked(db, mailboxId, mark)),
    changedUids: (mailboxId, modSeq) => engine.read((db) => readChangedUids(db, mailboxId, modSeq)),
    changesSince: (mailboxId, modSeq, except = []) =>
      engine.readAtOnce((db) => readChanges(db, mailboxId, modSeq, except)),
    expungedBetween: (mailboxId, after, upTo) =>
      engine.readAtOnce((db) => readExpunged(db, mailboxId, after, upTo)),
    read: (mailboxId, uid, start = 0, end = Number.POSITIVE_INFINITY) =>
      engine.read((db) => readContent(db, mailboxId, uid, start, end)),
    readSmall: (mailboxId, uids) => engine.read((db) => readSmall(db, mailboxId, uids)),
    structures: (mailboxId, uids) => engine.read((db) => readStructures(db, mailboxId, uids)),
    rendered: (mailboxId, uids, item) =>
      engine.read((db) => readRendered(db, mailboxId, uids, item)),
    emailIds: (mailboxId, uids) => engine.read((db) => readEmailIds(db, mailboxId, uids)),
    findText: (mailboxId, sought, range) => engine.findText({ mailboxId, sought, range }),
    changeFlags: (mailboxId, uids, change, flags, options) =>
      engine.write('changeFlags', {
        mailboxId,
        uids,
        change,
        flags,
        unchangedSince: options?.unchangedSince,
        only: options?.only,
      }),
    expunge: (mailboxId, uids, { onlyDeleted } = { onlyDeleted: false }) =>
      engine.write('expunge', { mailboxId, uids, onlyDeleted }),
    copy: (mailboxId, uids, target, keep) =>
      engine.write('copy', { mailboxId, uids, target, keep }),
    move: (mailboxId, uids, target, keep) =>
      engine.write('move', { mailboxId, uids, target, keep }),
  };

  // what a process that died had begun to remove
  sweeper.sweepInBackground();

  return {
    accounts,
    appPasswords,
    logins,
    directory,
    quotas,
    mailboxes,
    sharing,
    annotations,
    messages,
    overview: (accountId, since) => engine.readAtOnce((db) => readOverview(db, accountId, since)),
    async lockMaildrop(accountId) {
      await engine.read((db) => requireAccount(db, accountId));
      return engine.lockMaildrop(accountId);
    },
    check: (options) => checkStore(engine, options),
    watch: (mailboxId, changed) => feed.watch(mailboxId, changed),
    watchAccount: (accountId, changed) => feed.watchAccount(accountId, changed),
    failed: engine.failed,
    statistics: () => engine.statistics(),
    async close() {
      sweeper.stop();
      indexer.stop();
      feed.close();
      await engine.close();
    },
  };
}
