import {
  type Account,
  type MailboxOverview,
  type Quota,
  type SharedMailbox,
  StoreError,
  type StoreErrorCode,
} from '@mail/store';
import { expect, test } from 'vitest';
import { type Appender, hasRoom } from './append-room.ts';

const ALICE: Account = { id: 1, address: 'alice@x.test', createdAt: new Date(0) };
const BOB: Account = { id: 2, address: 'bob@x.test', createdAt: new Date(0) };
const WORK: MailboxOverview = {
  id: 1,
  accountId: BOB.id,
  name: 'Work',
  objectId: 'F1',
  uidValidity: 1,
  subscribed: false,
  specialUse: undefined,
  status: {
    messages: 0,
    unseen: 0,
    deleted: 0,
    uidNext: 1,
    uidValidity: 1,
    highestModSeq: 1,
    size: 0,
  },
};

/** Alice, to whom bob's Work is all that there is. */
function alice(read: (id: number) => Promise<Quota>, rights = 'i'): Appender {
  const find = async (
    _: number,
    owner: string,
    name: string,
  ): Promise<SharedMailbox | undefined> =>
    owner === BOB.address && name === WORK.name ? { mailbox: WORK, owner: BOB, rights } : undefined;
  const store = { mailboxes: { find: async () => undefined }, sharing: { find }, quotas: { read } };
  return { account: ALICE, strings: { utf8: false }, store: store as never };
}

const append = (mailbox: string) => ({ lines: [`a APPEND ${mailbox} {50}`], literals: [] });
const COMING = { octets: 50, messages: 2 };

test.each([
  [{ octets: undefined, messages: undefined }, true],
  [{ octets: 150, messages: 12 }, true],
  [{ octets: 149, messages: undefined }, false],
  [{ octets: undefined, messages: 11 }, false],
])('two messages of 50 octets beside ten of 100, with limits %j: %s', async (limits, expected) => {
  const read = async (): Promise<Quota> => ({ used: { octets: 100, messages: 10 }, limits });
  expect(await hasRoom(alice(read), append('INBOX'), COMING)).toBe(expected);
});

test.each([
  ['INBOX', 'i', ALICE.id],
  ['Users/bob@x.test/Work', 'i', BOB.id],
  // whom one may not fill one may not ask either
  ['Users/bob@x.test/Work', 'lr', ALICE.id],
  ['Users/bob@x.test/Play', 'i', ALICE.id],
  ['(', 'i', ALICE.id],
])('%s with %s is filled by the account %i', async (mailbox, rights, expected) => {
  const asked: number[] = [];
  const read = async (id: number): Promise<Quota> => {
    asked.push(id);
    const limits = { octets: undefined, messages: undefined };
    return { used: { octets: 0, messages: 0 }, limits };
  };
  await hasRoom(alice(read, rights), append(mailbox), COMING);
  const literal = { lines: ['a APPEND {5}', ' {50}'], literals: [[Buffer.from(mailbox)]] };
  await hasRoom(alice(read, rights), literal, COMING);
  expect(asked).toEqual([expected, mailbox === '(' ? ALICE.id : expected]);
});

test('a store that does not answer leaves the question to when it does', async () => {
  const failing = (code: StoreErrorCode) => alice(() => Promise.reject(new StoreError(code, '')));
  const inbox = append('INBOX');
  expect(await hasRoom(failing('database-unavailable'), inbox, COMING)).toBe(true);
  await expect(hasRoom(failing('no-such-account'), inbox, COMING)).rejects.toThrow(StoreError);
  const shared = append('Users/bob@x.test/Work');
  expect(await hasRoom(failing('no-such-account'), shared, COMING)).toBe(true);
});
