/** The store over an engine: which query or write answers which method. */
import type { Logger } from '@mail/service';
import { readOverview } from './account-overview.ts';
import { findAccount, findOldestAccount, listAccounts, readCredentials } from './accounts.ts';
import { listAnnotations, readAnnotations } from './annotations.ts';
import { ChangeFeed } from './change-feed.ts';
import { checkStore } from './check.ts';
import { readContent, requireStorable } from './content.ts';
import type { Engine } from './engine.ts';
import { requireAccount } from './existence.ts';
import type { Accounts, Annotations, Mailboxes, MailStore, Messages } from './mail-store.ts';
import { findMailbox, listMailboxes, listSubscriptions, readStatus } from './mailboxes.ts';
import { listMessages, readChanges, readExpunged, readStructures } from './messages.ts';
import { Sweeper } from './sweeper.ts';

export function createStore(engine: Engine, logger: Logger): MailStore {
  const feed = new ChangeFeed(engine, logger);
  const sweeper = new Sweeper(engine, logger);

  const accounts: Accounts = {
    add: (address, passwordHash) => engine.write('addAccount', { address, passwordHash }),
    list: () => engine.read(listAccounts),
    find: (address) => engine.read((db) => findAccount(db, address)),
    findOldest: (domain) => engine.read((db) => findOldestAccount(db, domain)),
    credentials: (address) => engine.read((db) => readCredentials(db, address)),
    setPasswordHash: (id, passwordHash) => engine.write('setPasswordHash', { id, passwordHash }),
    renewPasswordHash: (id, from, to) => engine.write('renewPasswordHash', { id, from, to }),
    async remove(id) {
      await engine.write('removeAccount', { id });
      await sweeper.sweep();
    },
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
  };

  const annotations: Annotations = {
    list: (accountId, mailboxId) =>
      engine.readAtOnce((db) => listAnnotations(db, { accountId, mailboxId })),
    read: (accountId, mailboxId, names) =>
      engine.readAtOnce((db) => readAnnotations(db, { owner: { accountId, mailboxId }, names })),
    set: (accountId, mailboxId, values) =>
      engine.write('setAnnotations', { owner: { accountId, mailboxId }, values }),
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
    async replace(mailboxId, uid, target, message) {
      requireStorable(message.raw);
      return engine.write('replace', { mailboxId, uid, target, message });
    },
    list: (mailboxId) => engine.readAtOnce((db) => listMessages(db, mailboxId)),
    changesSince: (mailboxId, modSeq) =>
      engine.readAtOnce((db) => readChanges(db, mailboxId, modSeq)),
    expungedBetween: (mailboxId, after, upTo) =>
      engine.readAtOnce((db) => readExpunged(db, mailboxId, after, upTo)),
    read: (mailboxId, uid, start = 0, end = Number.POSITIVE_INFINITY) =>
      engine.read((db) => readContent(db, mailboxId, uid, start, end)),
    structures: (mailboxId, uids) => engine.read((db) => readStructures(db, mailboxId, uids)),
    changeFlags: (mailboxId, uids, change, flags, options) =>
      engine.write('changeFlags', {
        mailboxId,
        uids,
        change,
        flags,
        unchangedSince: options?.unchangedSince,
      }),
    expunge: (mailboxId, uids, { onlyDeleted } = { onlyDeleted: false }) =>
      engine.write('expunge', { mailboxId, uids, onlyDeleted }),
    copy: (mailboxId, uids, target) => engine.write('copy', { mailboxId, uids, target }),
    move: (mailboxId, uids, target) => engine.write('move', { mailboxId, uids, target }),
  };

  // what a process that died had begun to remove
  sweeper.sweepInBackground();

  return {
    accounts,
    mailboxes,
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
      feed.close();
      await engine.close();
    },
  };
}
