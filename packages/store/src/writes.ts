/**
 * Every write there is, by name, so that an engine can run them where it likes: SQLite's on its writer
 * thread. A write is made ready outside the transaction (`prepare`, which may take its time), then run
 * inside it. Arguments and results cross threads, so they are plain data.
 */
import { addAccount, removeAccount, renewPasswordHash, setPasswordHash } from './accounts.ts';
import { prepareContent } from './content.ts';
import type { AccountId, AppendedMessage, MailboxId, NewMessage } from './mail-store.ts';
import { createMailbox, deleteMailbox, renameMailbox, setSubscription } from './mailboxes.ts';
import {
  appendMessages,
  changeFlags,
  copyMessages,
  deliverMessage,
  expungeMessages,
  moveMessages,
  type ReadyMessage,
} from './messages.ts';
import { joinOctets } from './octets.ts';
import { sweep } from './sweep.ts';
import type { WriteContext } from './write-context.ts';

export interface Write<A, R> {
  /** Returns what runs inside the transaction. */
  prepare(args: A): (context: WriteContext) => Promise<R>;
}

function write<A, R>(run: (context: WriteContext, args: A) => Promise<R>): Write<A, R> {
  return { prepare: (args) => (context) => run(context, args) };
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

const deliver: Write<DeliverArguments, void> = {
  prepare({ recipients, message }) {
    const ready = prepareMessage(message);
    return (context) => deliverMessage(context, { recipients, message: ready });
  },
};

const append: Write<AppendArguments, AppendedMessage[]> = {
  prepare({ mailboxId, messages }) {
    const ready = messages.map(prepareMessage);
    return (context) => appendMessages(context, { mailboxId, messages: ready });
  },
};

export const writes = {
  addAccount: write(addAccount),
  setPasswordHash: write(setPasswordHash),
  renewPasswordHash: write(renewPasswordHash),
  removeAccount: write(removeAccount),
  createMailbox: write(createMailbox),
  deleteMailbox: write(deleteMailbox),
  renameMailbox: write(renameMailbox),
  setSubscription: write(setSubscription),
  deliver,
  append,
  changeFlags: write(changeFlags),
  expunge: write(expungeMessages),
  copy: write(copyMessages),
  move: write(moveMessages),
  sweep: write((context: WriteContext, _args: null) => sweep(context)),
};

type Writes = typeof writes;
export type WriteName = keyof Writes;
export type WriteArguments<N extends WriteName> = Parameters<Writes[N]['prepare']>[0];
export type WriteResult<N extends WriteName> = Awaited<
  ReturnType<ReturnType<Writes[N]['prepare']>>
>;
