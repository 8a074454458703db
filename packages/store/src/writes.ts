/**
 * Every write there is, by name, so that an engine can run them where it likes: SQLite's on its writer
 * thread, PostgreSQL's where they are asked for. A write is made ready outside the transaction
 * (`prepareWrite`, which may take its time), then run inside it (`runWrite`). Arguments, what is made
 * ready, and results cross threads, so they are plain data.
 */
import { addAccount, removeAccount, renewPassword, setPassword } from './accounts.ts';
import { addAlias, removeAlias } from './aliases.ts';
import { setAnnotations } from './annotations.ts';
import { addAppPassword, noteAppPasswordUse, removeAppPassword } from './app-passwords.ts';
import { appendOnce, type ReadyKeyedMessage } from './append-once.ts';
import { repair } from './check-repairs.ts';
import { prepareContent } from './content.ts';
import { addDomain, changeDomain, removeDomain } from './domains.ts';
import { noteLogins } from './login-records.ts';
import type {
  AccountId,
  AppendedMessage,
  KeyedMessage,
  MailboxId,
  NewMessage,
  Uid,
} from './mail-store.ts';
import { createMailbox, deleteMailbox, renameMailbox, setSubscription } from './mailboxes.ts';
import {
  appendMessages,
  changeFlags,
  copyMessages,
  deliverMessage,
  expungeMessages,
  moveMessages,
  type ReadyMessage,
  replaceMessage,
} from './messages.ts';
import { joinOctets } from './octets.ts';
import { changeQuota } from './quotas.ts';
import { changeRights } from './rights.ts';
import { fillTexts } from './search-fill.ts';
import { indexTexts } from './search-index.ts';
import { sweep } from './sweep.ts';
import type { WriteContext } from './write-context.ts';

/** A write takes arguments `A`, is made ready as `P`, and resolves with `R`. */
interface Write<A, P, R> {
  /** Does what needs no database. */
  prepare(args: A): P;
  /** Whether preparing takes too long for a thread that speaks protocols. */
  readonly slow: boolean;
  /** Inside the transaction; again from its start where the database wants it so. */
  run(context: WriteContext, prepared: P): Promise<R>;
}

function write<A, R>(run: (context: WriteContext, args: A) => Promise<R>): Write<A, A, R> {
  return { prepare: (args) => args, slow: false, run };
}

function prepareMessage(message: NewMessage): ReadyMessage {
  return {
    content: prepareContent(joinOctets(message.raw)),
    flags: message.flags ?? [],
    internalDate: message.internalDate,
  };
}

interface DeliverArguments {
  readonly recipients: readonly AccountId[];
  readonly message: NewMessage;
}

interface AppendArguments {
  readonly mailboxId: MailboxId;
  readonly messages: readonly NewMessage[];
}

interface ReplaceArguments {
  readonly mailboxId: MailboxId;
  readonly uid: Uid;
  readonly target: MailboxId;
  readonly message: NewMessage;
}

interface ReadyDelivery {
  readonly recipients: readonly AccountId[];
  readonly message: ReadyMessage;
}

interface ReadyAppend {
  readonly mailboxId: MailboxId;
  readonly messages: readonly ReadyMessage[];
}

interface ReadyReplacement {
  readonly mailboxId: MailboxId;
  readonly uid: Uid;
  readonly target: MailboxId;
  readonly message: ReadyMessage;
}

const deliver: Write<DeliverArguments, ReadyDelivery, void> = {
  prepare: ({ recipients, message }) => ({ recipients, message: prepareMessage(message) }),
  slow: true,
  run: deliverMessage,
};

const append: Write<AppendArguments, ReadyAppend, AppendedMessage[]> = {
  prepare: ({ mailboxId, messages }) => ({ mailboxId, messages: messages.map(prepareMessage) }),
  slow: true,
  run: appendMessages,
};

const appendingOnce: Write<
  { readonly mailboxId: MailboxId; readonly messages: readonly KeyedMessage[] },
  { readonly mailboxId: MailboxId; readonly messages: readonly ReadyKeyedMessage[] },
  number
> = {
  prepare: ({ mailboxId, messages }) => ({
    mailboxId,
    messages: messages.map((message) => ({ key: message.key, ...prepareMessage(message) })),
  }),
  slow: true,
  run: appendOnce,
};

const replace: Write<ReplaceArguments, ReadyReplacement, AppendedMessage> = {
  prepare: ({ message, ...where }) => ({ ...where, message: prepareMessage(message) }),
  slow: true,
  run: replaceMessage,
};

const writes = {
  addAccount: write(addAccount),
  setPassword: write(setPassword),
  renewPassword: write(renewPassword),
  removeAccount: write(removeAccount),
  addAppPassword: write(addAppPassword),
  removeAppPassword: write(removeAppPassword),
  noteAppPasswordUse: write(noteAppPasswordUse),
  noteLogins: write(noteLogins),
  addDomain: write(addDomain),
  changeDomain: write(changeDomain),
  removeDomain: write(removeDomain),
  addAlias: write(addAlias),
  removeAlias: write(removeAlias),
  changeQuota: write(changeQuota),
  createMailbox: write(createMailbox),
  deleteMailbox: write(deleteMailbox),
  renameMailbox: write(renameMailbox),
  setSubscription: write(setSubscription),
  changeRights: write(changeRights),
  setAnnotations: write(setAnnotations),
  deliver,
  append,
  appendOnce: appendingOnce,
  replace,
  changeFlags: write(changeFlags),
  expunge: write(expungeMessages),
  copy: write(copyMessages),
  move: write(moveMessages),
  repair: write(repair),
  sweep: write((context: WriteContext, _args: null) => sweep(context)),
  fillTexts: write((context: WriteContext, _args: null) => fillTexts(context)),
  indexTexts: write((context: WriteContext, _args: null) => indexTexts(context)),
};

type Writes = typeof writes;
export type WriteName = keyof Writes;
export type WriteArguments<N extends WriteName> = Parameters<Writes[N]['prepare']>[0];
export type PreparedWrite<N extends WriteName> = Parameters<Writes[N]['run']>[1];
export type WriteResult<N extends WriteName> = Awaited<ReturnType<Writes[N]['run']>>;

export function isSlowToPrepare(name: WriteName): boolean {
  return writes[name].slow;
}

export function prepareWrite<N extends WriteName>(
  name: N,
  args: WriteArguments<N>,
): PreparedWrite<N> {
  const { prepare } = writes[name] as Write<WriteArguments<N>, PreparedWrite<N>, unknown>;
  return prepare(args);
}

/** Runs a write inside the context's transaction. Throws StoreError for what it refuses. */
export function runWrite<N extends WriteName>(
  context: WriteContext,
  name: N,
  prepared: PreparedWrite<N>,
): Promise<WriteResult<N>> {
  const write = writes[name] as Write<never, PreparedWrite<N>, WriteResult<N>>;
  return write.run(context, prepared);
}
