/** What a check must find and mend on every engine, and that it finds nothing where nothing is wrong. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CheckOptions, CheckReport, Fault } from '../check-report.ts';
import type { MailStore } from '../mail-store.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { numberedMessage } from './numbered-message.ts';

/** Plants one fault in a store with two accounts, whose messages are UID 1 to 6 of the first's INBOX. */
interface Planted {
  readonly sql: readonly string[];
  readonly code: Fault['code'];
  readonly where: RegExp;
  readonly what: RegExp;
}

const INBOX = "(select min(id) from mailboxes where name = 'INBOX')";
const CONTENT = `(select content_id from messages where mailbox_id = ${INBOX} and uid = 3)`;

/** All of them mended without a loss. */
const MENDABLE: readonly (readonly [string, Planted])[] = [
  [
    'wrong counters',
    {
      sql: [`update mailboxes set messages = 7, unseen = 9, size = size - 1 where id = ${INBOX}`],
      code: 'mailbox-counters',
      where: /^mailbox INBOX of alice@x\.test$/,
      what: /messages is 7 and should be 6, unseen is 9 and should be 5, size is/,
    },
  ],
  [
    'a next UID that was used',
    {
      sql: [`update mailboxes set uid_next = 4 where id = ${INBOX}`],
      code: 'uid-next-behind',
      where: /INBOX/,
      what: /is 4, and 7 has been used/,
    },
  ],
  [
    'a modification sequence that was used',
    {
      sql: [`update mailboxes set highest_modseq = 2 where id = ${INBOX}`],
      code: 'modseq-behind',
      where: /INBOX/,
      what: /is 2, and \d+ has been used/,
    },
  ],
  [
    'a UID both there and gone',
    {
      sql: [
        `insert into tombstones (mailbox_id, modseq, uid, content_id) values (${INBOX}, 2, 3, ${CONTENT})`,
      ],
      code: 'uid-there-and-gone',
      where: /INBOX/,
      what: /^UID 3 is there/,
    },
  ],
  [
    'a set of UIDs that lacks some',
    {
      sql: [
        `update uid_blocks set bits = (select bits from uid_blocks where mailbox_id <> ${INBOX} limit 1) where mailbox_id = ${INBOX}`,
      ],
      code: 'uid-set',
      where: /INBOX/,
      what: /lacks \d, \d, \d \.\.\., has none too many/,
    },
  ],
  [
    'flags in a set of UIDs that are not those of its messages',
    {
      sql: [
        `update uid_blocks set flags = (select flags from uid_blocks where mailbox_id <> ${INBOX} limit 1) where mailbox_id = ${INBOX}`,
      ],
      code: 'uid-set',
      where: /INBOX/,
      what: /lacks none, has none too many, and wrong flags of \d/,
    },
  ],
  [
    'keywords that are not told',
    {
      sql: [`delete from mailbox_keywords where mailbox_id = ${INBOX}`],
      code: 'keywords-untold',
      where: /INBOX/,
      what: /does not tell: x$/,
    },
  ],
  [
    'too few references',
    {
      sql: [`update contents set refs = refs - 1 where id = ${CONTENT}`],
      code: 'reference-count',
      where: /^content \d+$/,
      what: /counts 2 messages that hold it, and 3 do/,
    },
  ],
  [
    'too many references',
    {
      sql: [`update contents set refs = refs + 5 where id = ${CONTENT}`],
      code: 'reference-count',
      where: /content/,
      what: /counts 8 messages that hold it, and 3 do/,
    },
  ],
  [
    'a structure that does not parse',
    {
      sql: [`update structures set structure = '{"version"' where content_id = ${CONTENT}`],
      code: 'structure-unusable',
      where: /content/,
      what: /does not parse/,
    },
  ],
  [
    'a structure of an older format',
    {
      sql: [`update structures set structure = '{"version":0}' where content_id = ${CONTENT}`],
      code: 'structure-unusable',
      where: /content/,
      what: /is of format 0/,
    },
  ],
  [
    "another message's structure",
    {
      sql: [
        `update structures set structure = (select structure from structures where content_id in (select id from contents where size < 1000) limit 1) where content_id = ${CONTENT}`,
      ],
      code: 'structure-unusable',
      where: /content/,
      what: /of another message/,
    },
  ],
  [
    'a wrong size',
    {
      sql: [
        `update messages set size = size + 2 where mailbox_id = ${INBOX} and uid = 3`,
        `update mailboxes set size = size + 2 where id = ${INBOX}`,
      ],
      code: 'message-size',
      where: /^UID 3 in mailbox INBOX of alice@x\.test$/,
      what: /is told as \d+, and its content has \d+ octets/,
    },
  ],
  [
    'subscriptions of an account that was removed',
    {
      sql: [
        `update accounts set address_key = null where address = 'bob@x.test'`,
        `update mailboxes set name = null where account_id = (select id from accounts where address = 'bob@x.test')`,
      ],
      code: 'subscription-of-nobody',
      where: /^account \d+$/,
      what: /^6 subscriptions/,
    },
  ],
  [
    'annotations of a mailbox that was swept',
    {
      sql: [
        `insert into annotations (account_id, mailbox_id, name, value, modseq)
          select id, 1000000, '/private/comment', null, 1 from accounts where address = 'bob@x.test'`,
      ],
      code: 'annotation-of-nothing',
      where: /^mailbox 1000000$/,
      what: /^1 annotations/,
    },
  ],
  [
    'rights of an account that was removed',
    {
      sql: [
        `insert into mailbox_rights (mailbox_id, account_id, rights)
          select ${INBOX}, id, 'lr' from accounts where address = 'bob@x.test'`,
        `delete from subscriptions where account_id = (select id from accounts where address = 'bob@x.test')`,
        `update accounts set address_key = null where address = 'bob@x.test'`,
        `update mailboxes set name = null where account_id = (select id from accounts where address = 'bob@x.test')`,
      ],
      code: 'rights-of-nothing',
      where: /^mailbox \d+$/,
      what: /^account \d+ has rights/,
    },
  ],
  [
    'a domain that is missing',
    {
      sql: [`delete from domains where name = 'x.test'`],
      code: 'domain-missing',
      where: /^domain x\.test$/,
      what: /has accounts/,
    },
  ],
  [
    'an account without INBOX',
    {
      sql: [
        `update mailboxes set name = 'Elsewhere' where name = 'INBOX' and account_id = (select id from accounts where address = 'bob@x.test')`,
      ],
      code: 'inbox-missing',
      where: /^account bob@x\.test$/,
      what: /no mail can be delivered/,
    },
  ],
  [
    'a counter of UIDVALIDITY that is behind',
    {
      sql: [`update counters set value = 5 where name = 'uid_validity'`],
      code: 'uid-validity-behind',
      where: /counter/,
      what: /is 5, and a mailbox has \d+/,
    },
  ],
];

/** None of them mended: messages are lost. */
const LOST: readonly (readonly [string, readonly string[]])[] = [
  ['all octets are gone', [`delete from content_chunks where content_id = ${CONTENT}`]],
  [
    'a piece is cut short',
    [`update content_chunks set data = substr(data, 1, 5) where content_id = ${CONTENT}`],
  ],
  [
    'the content is gone',
    [
      `delete from content_chunks where content_id = ${CONTENT}`,
      `delete from contents where id = ${CONTENT}`,
    ],
  ],
];

export function checkSuite(engine: string, create: () => Promise<DatabaseUnderTest>): void {
  describe(`a check of a store on ${engine}`, () => {
    let database: DatabaseUnderTest;
    let store: MailStore;
    let inbox: number;

    beforeEach(async () => {
      database = await create();
      store = await database.open();
      const alice = await store.accounts.add('alice@x.test', 'hash');
      const bob = await store.accounts.add('bob@x.test', 'hash');
      inbox = (await store.mailboxes.find(alice.id, 'INBOX'))?.id ?? 0;
      const archive = (await store.mailboxes.find(alice.id, 'Archive'))?.id ?? 0;
      const messages = [1, 2, 3, 4, 10, 15, 19].map((number) => ({ raw: numberedMessage(number) }));
      await store.messages.append(inbox, messages);
      await store.messages.deliver([bob.id], { raw: numberedMessage(5) });
      await store.messages.changeFlags(inbox, [2], 'add', ['\\Seen', 'x']);
      await store.messages.copy(inbox, [3], archive);
      await store.messages.copy(inbox, [3], archive);
      await store.messages.expunge(inbox, [7]);
    });
    afterEach(async () => {
      await store.close();
      await database.dispose();
    });

    const check = async (
      options: Pick<CheckOptions, 'repair' | 'dropLost' | 'quick'> = {},
    ): Promise<CheckReport & { told: Fault[] }> => {
      const told: Fault[] = [];
      const report = await store.check({ ...options, onFault: (fault) => told.push(fault) });
      expect(report.faults).toBe(told.length);
      return { ...report, told };
    };
    const plant = async (statements: readonly string[]): Promise<void> => {
      for (const sql of statements) await database.query(sql);
    };

    it('finds nothing wrong in a sound one, and tells how far it is', async () => {
      const steps = new Set<string>();
      const told: Fault[] = [];
      const report = await store.check({
        onFault: (fault) => told.push(fault),
        onProgress: ({ step, done, of }) => {
          expect(done).toBeLessThanOrEqual(of);
          steps.add(step);
        },
      });
      expect(told).toEqual([]);
      // 12 of the two accounts; what was expunged waits to be swept
      expect(report).toEqual({
        mailboxes: 12,
        messages: 9,
        contents: 7,
        faults: 0,
        remaining: 0,
      });
      expect([...steps]).toEqual([
        ...['database', 'accounts', 'contents', 'messages', 'references', 'mailboxes'],
      ]);
      expect(await check({ quick: true })).toMatchObject({ faults: 0 });
    });

    it.each(MENDABLE)('finds %s, and mends that where it is told to', async (_, planted) => {
      await plant(planted.sql);
      const found = await check();
      expect(found.told).toEqual([
        {
          code: planted.code,
          where: expect.stringMatching(planted.where),
          what: expect.stringMatching(planted.what),
          outcome: 'mendable',
        },
      ]);
      expect(found.remaining).toBe(1);
      const mended = await check({ repair: true });
      // mending one may bring another to light, which is mended too
      expect(new Set(mended.told.map(({ outcome }) => outcome))).toEqual(new Set(['mended']));
      expect(mended.remaining).toBe(0);
      expect(await check()).toMatchObject({ told: [] });
      await database.check();
      const { uids, keywords } = await store.messages.open(inbox);
      expect(uids.slice(0, 10)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(keywords).toEqual(['x']);
      expect(await store.messages.read(inbox, 3)).toEqual(numberedMessage(3));
      expect((await store.messages.structures(inbox, [3])).get(3)?.size).toBe(
        numberedMessage(3).length,
      );
    });

    it.each(LOST)('keeps a message where %s, until it is told to drop it', async (_, sql) => {
      await plant(sql);
      const lost = {
        code: 'message-lost',
        where: 'UID 3 in mailbox INBOX of alice@x.test',
        outcome: 'lost',
      };
      const { told, remaining } = await check({ repair: true });
      expect(told).toContainEqual(expect.objectContaining(lost));
      expect(told.filter(({ code }) => code === 'message-lost')).toHaveLength(3);
      expect(remaining).toBe(told.length);
      expect((await store.mailboxes.status(inbox)).messages).toBe(6);
      const dropped = await check({ repair: true, dropLost: true });
      expect(dropped.told).toContainEqual(expect.objectContaining({ ...lost, outcome: 'dropped' }));
      const { messages } = await store.messages.list(inbox);
      expect(messages.map(({ uid }) => uid)).toEqual([1, 2, 4, 5, 6]);
      expect(await check()).toMatchObject({ told: [] });
    });

    it('says again that a message is there which was told to be gone', async () => {
      const before = await store.mailboxes.status(inbox);
      await plant([
        `insert into tombstones (mailbox_id, modseq, uid, content_id) values (${INBOX}, 2, 3, ${CONTENT})`,
      ]);
      await check({ repair: true });
      const changes = await store.messages.changesSince(inbox, before.highestModSeq);
      expect(changes.changed.map(({ uid }) => uid)).toEqual([3]);
      expect(changes.expunged).toEqual([]);
    });

    it('raises no false alarm while others write', async () => {
      const other = await database.open();
      let stop = false;
      const churn = async (seed: number): Promise<number> => {
        let writes = 0;
        const account = await other.accounts.add(`churn${seed}@x.test`, 'hash');
        const from = (await other.mailboxes.find(account.id, 'INBOX'))?.id ?? 0;
        for (; !stop; writes += 1) {
          const extra = await other.mailboxes.create(account.id, `Extra${writes}`);
          await other.messages.deliver([account.id], { raw: numberedMessage(writes) });
          const { messages } = await other.messages.list(from);
          const uids = messages.map(({ uid }) => uid);
          await other.messages.copy(from, uids, extra.id);
          await other.messages.changeFlags(from, uids, 'add', ['\\Deleted']);
          if (writes % 3 === 0) await other.messages.expunge(from, uids);
          else await other.messages.move(from, uids, extra.id);
          if (writes % 2 === 0) await other.mailboxes.delete(extra.id);
        }
        await other.accounts.remove(account.id);
        return writes;
      };
      const churning = [churn(1), churn(2)];
      try {
        for (let round = 0; round < 4; round += 1) {
          expect(await check({ repair: round % 2 === 1 })).toMatchObject({ told: [] });
        }
      } finally {
        stop = true;
        for (const writes of await Promise.all(churning)) expect(writes).toBeGreaterThan(0);
        await other.close();
      }
      await database.check();
    });
  });
}
