import { type ChangedFlags, type MessageSummary, UidSet } from '@mail/store';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MailboxView, type Selection, type Update } from './mailbox-view.ts';

const message = (uid: number, modSeq = 1, flags: readonly string[] = []): MessageSummary => ({
  uid,
  flags,
  modSeq,
  size: 100,
  internalDate: new Date(0),
  savedAt: 0,
});

function viewOf(uids: Iterable<number>): MailboxView {
  const set = new UidSet();
  for (const uid of uids) set.add(uid);
  const uidNext = set.last + 1;
  return new MailboxView({
    uids: set,
    uidNext,
    highestModSeq: 1,
    firstUnseen: undefined,
    keywords: [],
  });
}

const one = (number: number) => [{ from: number, to: number }];
const uidsOf = (selection: Selection | undefined) => selection?.all().map(({ uid }) => uid);

describe('what is told when', () => {
  test('an expunge waits until it may be told, and numbers stay until then', () => {
    const view = viewOf([1, 2, 3]);
    view.apply({ changed: [], expunged: [1], highestModSeq: 2 });
    expect(view.release(false)).toEqual([]);
    expect(uidsOf(view.bySequence(one(2)))).toEqual([2]);
    expect(view.bySequence(one(2))?.missing).toBe(false);
    expect(uidsOf(view.bySequence(one(1)))).toEqual([]);
    expect(view.bySequence(one(1))?.missing).toBe(true);
    expect(view.release(true)).toEqual([{ kind: 'expunge', sequence: 1, uid: 1 }]);
    expect(uidsOf(view.bySequence(one(1)))).toEqual([2]);
  });

  test('several expunges go from the end', () => {
    const view = viewOf([1, 2, 3, 4]);
    view.apply({ changed: [], expunged: [2, 4], highestModSeq: 2 });
    expect(view.release(true).map((update) => 'sequence' in update && update.sequence)).toEqual([
      4, 2,
    ]);
  });

  test('new messages count even while expunges wait', () => {
    const view = viewOf([1]);
    view.apply({ changed: [message(2, 2)], expunged: [1], highestModSeq: 3 });
    expect(view.release(false)).toEqual([{ kind: 'exists', count: 2 }]);
  });

  test('a message that came and went was never there', () => {
    const view = viewOf([]);
    view.apply({ changed: [message(1, 2)], expunged: [], highestModSeq: 2 });
    view.apply({ changed: [], expunged: [1], highestModSeq: 3 });
    expect(view.release(true)).toEqual([]);
  });

  test('flags that others changed are told once, a new keyword before them', () => {
    const view = viewOf([5]);
    const changed = message(5, 2, ['$Label']);
    view.apply({ changed: [changed], expunged: [], highestModSeq: 2 });
    const [flags, fetch, ...rest] = view.release(false);
    expect(flags).toMatchObject({ kind: 'flags', flags: expect.arrayContaining(['$Label']) });
    expect(fetch).toEqual({ kind: 'fetch', sequence: 1, message: changed });
    expect(rest).toEqual([]);
    expect(view.release(false)).toEqual([]);
  });
});

describe('changes of its own', () => {
  const changed = (uid: number, modSeq: number, previousModSeq: number): ChangedFlags => ({
    uid,
    flags: ['\\Seen'],
    modSeq,
    previousModSeq,
  });

  test('are not read again where nothing lies between', () => {
    const view = viewOf([1, 2]);
    view.note([changed(1, 2, 1), changed(2, 2, 1)], false);
    expect(view.highestModSeq).toBe(2);
    expect(view.release(true)).toEqual([]);
  });

  test('are not told again when others come between', () => {
    const view = viewOf([1, 2]);
    view.note([changed(1, 3, 1)], false);
    expect(view.highestModSeq).toBe(1);
    expect(view.ownModSeqs).toEqual([3]);
    const others = message(2, 2, ['\\Flagged']);
    const mine = message(1, 3, ['\\Seen']);
    view.apply({ changed: [mine, others], expunged: [], highestModSeq: 3 });
    expect(view.release(true)).toEqual([{ kind: 'fetch', sequence: 2, message: others }]);
    expect(view.ownModSeqs).toEqual([]);
  });

  test('are told where others had changed the message and the answer was silent', () => {
    const view = viewOf([1, 2]);
    view.note([changed(1, 3, 2)], false);
    expect(view.release(true)).toMatchObject([{ kind: 'fetch', message: { uid: 1, modSeq: 3 } }]);
    view.note([changed(2, 5, 4)], true);
    expect(view.release(true)).toEqual([]);
  });

  test('what an answer has told of others is not told again, but what came later is', () => {
    const view = viewOf([1, 2]);
    view.told(message(1, 2));
    view.told(message(2, 2));
    view.apply({ changed: [message(1, 2), message(2, 3)], expunged: [], highestModSeq: 3 });
    expect(view.release(true)).toMatchObject([{ kind: 'fetch', message: { uid: 2, modSeq: 3 } }]);
  });
});

describe('sets', () => {
  const view = viewOf([10, 20, 30]);

  test('by UID, unknown ones passed over', () => {
    const found = view.byUid([{ from: 15, to: '*' }]).all();
    expect(found.map(({ sequence, uid }) => [sequence, uid])).toEqual([
      [2, 20],
      [3, 30],
    ]);
    // RFC 3501 §6.4.8: 559:* names the last message even if its UID is lower
    expect(uidsOf(view.byUid([{ from: 559, to: '*' }]))).toEqual([30]);
    expect(view.byUid([{ from: 15, to: '*' }]).count).toBe(2);
  });

  test('numbers beyond the last name nothing', () => {
    expect(view.bySequence(one(4))).toBeUndefined();
    expect(view.bySequence([{ from: 2, to: 4 }])).toBeUndefined();
  });

  test('an empty mailbox', () => {
    const empty = viewOf([]);
    expect(uidsOf(empty.bySequence([{ from: 1, to: '*' }]))).toEqual([]);
    expect(empty.bySequence(one(1))).toBeUndefined();
    expect(uidsOf(empty.byUid([{ from: 1, to: '*' }]))).toEqual([]);
    expect(uidsOf(empty.everything())).toEqual([]);
  });

  test('in pages, and those of a list that are in one', () => {
    const selection = viewOf([1, 2, 3, 5, 6, 8]).bySequence([
      { from: 1, to: 3 },
      { from: 5, to: 6 },
    ]);
    const pages = [...(selection?.pages(2) ?? [])].map((page) => page.map(({ uid }) => uid));
    expect(pages).toEqual([[1, 2], [3], [6, 8]]);
    expect(selection?.among([2, 4, 5, 8, 9])).toEqual([
      { sequence: 2, uid: 2 },
      { sequence: 6, uid: 8 },
    ]);
  });
});

/** A client that knows only what it is told. */
class Client {
  readonly numbers: { flags: string | undefined }[] = [];

  hear(updates: readonly Update[]): void {
    for (const update of updates) {
      switch (update.kind) {
        case 'exists':
          expect(update.count).toBeGreaterThan(this.numbers.length);
          while (this.numbers.length < update.count) this.numbers.push({ flags: undefined });
          break;
        case 'expunge':
          expect(update.sequence).toBeLessThanOrEqual(this.numbers.length);
          this.numbers.splice(update.sequence - 1, 1);
          break;
        case 'fetch': {
          const known = this.numbers[update.sequence - 1];
          expect(known).toBeDefined();
          if (known) known.flags = [...update.message.flags].sort().join(' ');
        }
      }
    }
  }
}

type Step =
  | { kind: 'append' }
  | { kind: 'expunge'; pick: number }
  | { kind: 'flag'; pick: number; flag: string }
  | { kind: 'sync' }
  | { kind: 'command'; expunges: boolean };

const steps = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.constant({ kind: 'append' }),
    fc.record({ kind: fc.constant('expunge' as const), pick: fc.nat(20) }),
    fc.record({
      kind: fc.constant('flag' as const),
      pick: fc.nat(20),
      flag: fc.constantFrom('\\Seen', '\\Deleted', '$Junk'),
    }),
    fc.constant({ kind: 'sync' }),
    fc.record({ kind: fc.constant('command' as const), expunges: fc.boolean() }),
  ),
  { maxLength: 60 },
);

test('a client that hears every update agrees with the mailbox', () => {
  fc.assert(
    fc.property(fc.nat(5), steps, (initial, schedule) => {
      let modSeq = 1;
      let uidNext = initial + 1;
      const mailbox = new Map<number, MessageSummary>();
      const expunged: { uid: number; modSeq: number }[] = [];
      for (let uid = 1; uid <= initial; uid += 1) mailbox.set(uid, message(uid));
      const view = viewOf(mailbox.keys());
      const client = new Client();
      for (let uid = 1; uid <= initial; uid += 1) client.numbers.push({ flags: '' });

      const sync = () => {
        const since = view.highestModSeq;
        view.apply({
          changed: [...mailbox.values()].filter((one) => one.modSeq > since),
          expunged: expunged.filter((one) => one.modSeq > since).map(({ uid }) => uid),
          highestModSeq: modSeq,
        });
      };
      const pickUid = (pick: number): number | undefined =>
        mailbox.size === 0 ? undefined : [...mailbox.keys()][pick % mailbox.size];

      for (const step of schedule) {
        switch (step.kind) {
          case 'append':
            modSeq += 1;
            mailbox.set(uidNext, message(uidNext, modSeq));
            uidNext += 1;
            break;
          case 'expunge': {
            const uid = pickUid(step.pick);
            if (uid === undefined) break;
            modSeq += 1;
            mailbox.delete(uid);
            expunged.push({ uid, modSeq });
            break;
          }
          case 'flag': {
            const before = mailbox.get(pickUid(step.pick) ?? 0);
            if (before === undefined) break;
            modSeq += 1;
            const flags = before.flags.includes(step.flag)
              ? before.flags.filter((flag) => flag !== step.flag)
              : [...before.flags, step.flag];
            mailbox.set(before.uid, { ...before, flags, modSeq });
            break;
          }
          case 'sync':
            sync();
            break;
          case 'command': {
            const updates = view.release(step.expunges);
            if (!step.expunges) {
              expect(updates.filter(({ kind }) => kind === 'expunge')).toEqual([]);
            }
            client.hear(updates);
            expect(client.numbers).toHaveLength(view.count);
          }
        }
      }
      sync();
      client.hear(view.release(true));
      expect(uidsOf(view.everything())).toEqual([...mailbox.keys()]);
      expect(client.numbers).toHaveLength(mailbox.size);
      for (const [index, { flags }] of [...mailbox.values()].entries()) {
        const known = client.numbers[index]?.flags;
        // of a new message a client knows no flags until it asks
        if (known !== undefined) expect(known).toBe([...flags].sort().join(' '));
      }
    }),
    { numRuns: 500 },
  );
});
