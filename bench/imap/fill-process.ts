/** Fills a mailbox with short messages, straight into the store, in a process of its own. */
import { once } from 'node:events';
import { openStore } from '@mail/store';
import { shortMessage } from './messages.ts';

export interface FillOrder {
  readonly url: string;
  readonly address: string;
  readonly mailbox: string;
  readonly messages: number;
}

/** Messages of one transaction. */
const BATCH = 2_000;
/** Messages with a content of their own; beyond, copies of them come before the last batch. */
const DISTINCT = 20_000;

const [order] = (await once(process, 'message')) as [FillOrder];
const store = await openStore({ url: order.url });
const account = await store.accounts.find(order.address);
if (account === undefined) throw new Error('no such account');
const { id } = await store.mailboxes.create(account.id, order.mailbox);
const uids: number[] = [];

/** Appends messages up to the one numbered `end`. */
async function append(end: number): Promise<void> {
  while (uids.length < end) {
    const length = Math.min(BATCH, end - uids.length);
    const appended = await store.messages.append(
      id,
      Array.from({ length }, (_, index) => ({
        raw: shortMessage(uids.length + index),
        flags: ['\\Seen'],
      })),
    );
    for (const { uid } of appended) uids.push(uid);
  }
}

await append(Math.min(order.messages, DISTINCT) - BATCH);
const distinct = [...uids];
while (uids.length < order.messages - BATCH) {
  const wanted = distinct.slice(0, order.messages - BATCH - uids.length);
  const { to } = await store.messages.copy(id, wanted, id);
  for (const uid of to) uids.push(uid);
}
await append(order.messages);
await store.close();
process.disconnect?.();
