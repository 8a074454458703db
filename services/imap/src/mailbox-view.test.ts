import type { MessageSummary } from '@mail/store';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MailboxView, type Update } from './mailbox-view.ts';

const message = (uid: number, modSeq = 1, flags: readonly string[] = []): MessageSummary => ({
  uid,
  flags,
  modSeq,
  size: 100,
  endsInCrlf: true,
  internalDate: new Date(0),
  savedAt: 0,
  emailId: `m${uid}`,
});

const one = (number: number) => [{ from: number, to: number }];

describe('what is told when', () => {
  test('an expunge waits until it may be told, and numbers stay until then', () => {
    const view = new MailboxView([message(1), message(2), message(3)], 1);
    view.apply({ changed: [], expunged: [1], highestModSeq: 2 });
    expect(view.release(false)).toEqual([]);
    expect(view.bySequence(one(2))?.found.map(({ message: { uid } }) => uid)).toEqual([2]);
    expect(view.bySequence(one(1))).toEqual({ found: [], missing: true });
    expect(view.release(true)).toEqual([{ kind: 'expunge', sequence: 1, uid: 1 }]);
    expect(view.bySequence(one(1))?.found[0]?.message.uid).toBe(2);
  });

  test('several expunges go from the end', () => {
    const view = new MailboxView(
      [1, 2, 3, 4].map((uid) => message(uid)),
      1,
    );
    view.apply({ changed: [], expunged: [2, 4], highestModSeq: 2 });
    expect(view.release(true).map((update) => 'sequence' in update && update.sequence)).toEqual([
      4, 2,
    ]);
  });

  test('new messages count even while expunges wait', () => {
    const view = new MailboxView([message(1)], 1);
    view.apply({ changed: [message(2, 2)], expunged: [1], highestModSeq: 3 });
    expect(view.release(false)).toEqual([{ kind: 'exists', count: 2 }]);
  });

  test('a message that came and went was never there', () => {
    const view = new MailboxView([], 1);
    view.apply({ changed: [message(1, 2)], expunged: [], highestModSeq: 2 });
    view.apply({ changed: [], expunged: [1], highestModSeq: 3 });
    expect(view.release(true)).toEqual([]);
  });

  test('flags that others changed are told once, a new keyword before them', () => {
    const view = new MailboxView([message(5)], 1);
    const changed = message(5, 2, ['$Label']);
    view.apply({ changed: [changed], expunged: [], highestModSeq: 2 });
    const [flags, fetch, ...rest] = view.release(false);
    expect(flags).toMatchObject({ kind: 'flags', flags: expect.arrayContaining(['$Label']) });
    expect(fetch).toEqual({ kind: 'fetch', sequence: 1, message: changed });
    expect(rest).toEqual([]);
    expect(view.release(false)).toEqual([]);
  });

  test('own changes are not told again; what differs from the expected is', () => {
    const view = new MailboxView([message(1), message(2)], 1);
    const now = [message(1, 2, ['\\Seen']), message(2, 2, ['\\Flagged', '\\Seen'])];
    view.note(now, (before) => [...before, '\\Seen']);
    view.apply({ changed: now, expunged: [], highestModSeq: 2 });
    expect(view.release(true)).toEqual([{ kind: 'fetch', sequence: 2, message: now[1] }]);
  });
});

describe('sets', () => {
  const view = new MailboxView([message(10), message(20), message(30)], 1);

  test('by UID, unknown ones passed over', () => {
    const found = view.byUid([{ from: 15, to: '*' }]).found;
    expect(found.map(({ sequence, message: { uid } }) => [sequence, uid])).toEqual([
      [2, 20],
      [3, 30],
    ]);
    // RFC 3501 §6.4.8: 559:* names the last message even if its UID is lower
    expect(view.byUid([{ from: 559, to: '*' }]).found).toHaveLength(1);
  });

  test('numbers beyond the last name nothing', () => {
    expect(view.bySequence(one(4))).toBeUndefined();
    expect(view.bySequence([{ from: 2, to: 4 }])).toBeUndefined();
  });

  test('an empty mailbox', () => {
    const empty = new MailboxView([], 1);
    expect(empty.bySequence([{ from: 1, to: '*' }])?.found).toEqual([]);
    expect(empty.bySequence(one(1))).toBeUndefined();
    expect(empty.byUid([{ from: 1, to: '*' }]).found).toEqual([]);
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
      const view = new MailboxView([...mailbox.values()], modSeq);
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
      expect([...view].map(({ message: { uid } }) => uid)).toEqual([...mailbox.keys()]);
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
