/**
 * A process of its own with a store, for tests that need a second one or one to kill: it opens the store
 * whose URL is its argument, and does what its parent says over IPC.
 */
import { openStore } from '../open-store.ts';
import { numberedMessage } from './numbered-message.ts';

export type StoreProcessOrder =
  | { readonly kind: 'add-account'; readonly address: string }
  | { readonly kind: 'deliver'; readonly recipient: number }
  | { readonly kind: 'lock-maildrop'; readonly accountId: number }
  /** Changes what an account has besides messages: a name, a subscription, an annotation. */
  | {
      readonly kind: 'create' | 'unsubscribe' | 'annotate';
      readonly accountId: number;
      readonly name: string;
    }
  /** Goes on until it is killed, from message number `first`; each number is told once it is durable. */
  | {
      readonly kind: 'churn';
      readonly recipients: readonly [number, number];
      readonly first: number;
    };

export type StoreProcessReport =
  | { readonly kind: 'open' }
  | { readonly kind: 'done' }
  | { readonly kind: 'durable'; readonly number: number }
  | { readonly kind: 'failed'; readonly message: string };

/** Deliveries under way at a time. */
const CHURNING = 8;

const report = (message: StoreProcessReport): void => {
  process.send?.(message);
};

try {
  const store = await openStore({ url: process.argv[2] ?? '' });

  const churn = async (recipients: readonly [number, number], first: number): Promise<void> => {
    const inbox = await store.mailboxes.find(recipients[0], 'INBOX');
    const archive = await store.mailboxes.find(recipients[0], 'Archive');
    if (inbox === undefined || archive === undefined) throw new Error('no INBOX or no Archive');
    let next = first;
    const run = async (): Promise<void> => {
      for (;;) {
        const number = next;
        next += 1;
        await store.messages.deliver(recipients, { raw: numberedMessage(number) });
        report({ kind: 'durable', number });
        if (number % 4 !== 0) continue;
        const { messages } = await store.messages.list(inbox.id);
        const uids = messages.slice(0, 3).map(({ uid }) => uid);
        await store.messages.changeFlags(inbox.id, uids, 'add', ['\\Seen', '\\Deleted']);
        await store.messages.move(inbox.id, uids, archive.id);
      }
    };
    await Promise.all(Array.from({ length: CHURNING }, run));
  };

  const obey = async (order: StoreProcessOrder): Promise<void> => {
    switch (order.kind) {
      case 'add-account':
        await store.accounts.add(order.address, 'hash');
        break;
      case 'deliver':
        await store.messages.deliver([order.recipient], { raw: numberedMessage(0) });
        break;
      case 'lock-maildrop':
        await store.lockMaildrop(order.accountId);
        break;
      case 'create':
        await store.mailboxes.create(order.accountId, order.name);
        break;
      case 'unsubscribe':
        await store.mailboxes.subscribe(order.accountId, order.name, false);
        break;
      case 'annotate':
        await store.annotations.set(order.accountId, undefined, [[order.name, Buffer.from('x')]]);
        break;
      case 'churn':
        await churn(order.recipients, order.first);
        break;
    }
    report({ kind: 'done' });
  };

  process.on('message', (order: StoreProcessOrder) => {
    obey(order).catch((error: unknown) => report({ kind: 'failed', message: String(error) }));
  });
  process.once('disconnect', () => process.exit());
  report({ kind: 'open' });
} catch (error) {
  report({ kind: 'failed', message: String(error) });
  process.disconnect?.();
}
