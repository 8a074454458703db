/** A client that believes what it is told of an account knows it as it is. */
import { type AccountOverview, isInferior, type MailboxOverview, superiorsOf } from '@mail/store';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EVENTS } from '../parser/notify.ts';
import { AccountView, type Telling } from './account-view.ts';
import { EventFilter } from './interest.ts';

const ALL: Telling = {
  filter: new EventFilter([{ filter: { kind: 'personal' }, events: EVENTS }]),
  selected: undefined,
  condStore: false,
};

type Counts = { messages: number; uidNext: number; unseen: number };

/** An account in memory. */
class Model {
  #nextId = 1;
  modSeq = 1;
  mailboxes: { id: number; name: string; modSeq: number; counts: Counts }[] = [];
  readonly subscriptions = new Set<string>();

  find(name: string) {
    return this.mailboxes.find((mailbox) => mailbox.name === name);
  }

  create(name: string): void {
    for (const each of [...superiorsOf(name), name]) {
      if (this.find(each)) continue;
      const counts = { messages: 0, uidNext: 1, unseen: 0 };
      this.mailboxes.push({ id: this.#nextId++, name: each, modSeq: 1, counts });
    }
  }

  delete(name: string): void {
    this.mailboxes = this.mailboxes.filter((mailbox) => mailbox.name !== name);
  }

  rename(from: string, to: string): void {
    const moved = this.mailboxes.filter(({ name }) => name === from || isInferior(name, from));
    const renamed = moved.map(({ name }) => to + name.slice(from.length));
    if (moved.length === 0 || isInferior(to, from) || this.find(to)) return;
    if (renamed.some((name) => this.find(name))) return;
    for (const mailbox of moved) mailbox.name = to + mailbox.name.slice(from.length);
    for (const superior of superiorsOf(to)) this.create(superior);
  }

  append(name: string): void {
    const mailbox = this.find(name);
    if (mailbox === undefined) return;
    mailbox.modSeq += 1;
    mailbox.counts = {
      messages: mailbox.counts.messages + 1,
      uidNext: mailbox.counts.uidNext + 1,
      unseen: mailbox.counts.unseen + 1,
    };
  }

  /** Of one unread message, if there is one. */
  change(name: string, expunged: boolean): void {
    const mailbox = this.find(name);
    if (mailbox === undefined || mailbox.counts.unseen === 0) return;
    mailbox.modSeq += 1;
    mailbox.counts.unseen -= 1;
    if (expunged) mailbox.counts.messages -= 1;
  }

  overview(): AccountOverview {
    const mailboxes = this.mailboxes.map(
      ({ id, name, modSeq, counts }): MailboxOverview => ({
        id,
        accountId: 1,
        name,
        objectId: `F${id}`,
        uidValidity: id,
        subscribed: this.subscriptions.has(name),
        specialUse: undefined,
        status: {
          ...counts,
          deleted: 0,
          size: 0,
          uidValidity: id,
          highestModSeq: modSeq,
        },
      }),
    );
    mailboxes.sort((a, b) => (a.name < b.name ? -1 : 1));
    return {
      modSeq: this.modSeq,
      mailboxes,
      subscriptions: [...this.subscriptions].sort(),
      annotations: [],
    };
  }
}

/** What a client makes of what it is told. */
class Believer {
  readonly mailboxes = new Map<string, Counts>();
  readonly subscriptions: Set<string>;

  constructor({ mailboxes, subscriptions }: AccountOverview) {
    for (const { name, status } of mailboxes) this.mailboxes.set(name, this.#counts(status));
    this.subscriptions = new Set(subscriptions);
  }

  #counts({ messages, uidNext, unseen }: Counts): Counts {
    return { messages, uidNext, unseen };
  }

  hear(view: AccountView, now: AccountOverview, telling = ALL): number {
    const updates = view.apply(now, telling);
    for (const update of updates) {
      if (update.kind === 'name') this.#hearName(now, update.name, update.oldName);
      if (update.kind !== 'status') continue;
      const { mailbox, items } = update;
      const known = this.mailboxes.get(mailbox.name) ?? { messages: 0, uidNext: 1, unseen: 0 };
      if (items.includes('MESSAGES')) known.messages = mailbox.status.messages;
      if (items.includes('UIDNEXT')) known.uidNext = mailbox.status.uidNext;
      if (items.includes('UNSEEN')) known.unseen = mailbox.status.unseen;
      this.mailboxes.set(mailbox.name, known);
    }
    return updates.length;
  }

  #hearName(now: AccountOverview, name: string, oldName: string | undefined): void {
    if (now.subscriptions.includes(name)) this.subscriptions.add(name);
    else this.subscriptions.delete(name);
    const exists = now.mailboxes.some((mailbox) => mailbox.name === name);
    if (!exists) this.mailboxes.delete(name);
    else if (oldName !== undefined) {
      for (const [known, counts] of [...this.mailboxes]) {
        if (known !== oldName && !isInferior(known, oldName)) continue;
        this.mailboxes.delete(known);
        this.mailboxes.set(name + known.slice(oldName.length), counts);
      }
    } else if (!this.mailboxes.has(name)) {
      this.mailboxes.set(name, { messages: 0, uidNext: 1, unseen: 0 });
    }
  }

  expectToKnow({ mailboxes, subscriptions }: AccountOverview): void {
    const actual = mailboxes.map(({ name, status }) => [name, this.#counts(status)] as const);
    expect(Object.fromEntries(this.mailboxes)).toEqual(Object.fromEntries(actual));
    expect([...this.subscriptions].sort()).toEqual(subscriptions);
  }
}

const names = fc.constantFrom('A', 'A/B', 'A/B/C', 'D', 'D/E', 'F');
const steps = fc.oneof(
  fc.record({ kind: fc.constantFrom('create' as const, 'delete' as const), name: names }),
  fc.record({ kind: fc.constant('rename' as const), name: names, to: names }),
  fc.record({
    kind: fc.constantFrom('append' as const, 'read' as const, 'expunge' as const),
    name: names,
  }),
  fc.record({ kind: fc.constant('subscribe' as const), name: names, subscribed: fc.boolean() }),
  fc.record({ kind: fc.constant('tell' as const), name: names }),
);

test('whatever happens, and however seldom it is told', () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 25 }), (taken) => {
      const model = new Model();
      for (const name of ['A/B', 'D']) model.create(name);
      const view = new AccountView(model.overview());
      const client = new Believer(model.overview());
      for (const step of taken) {
        if (step.kind === 'tell') client.hear(view, model.overview());
        else if (step.kind === 'rename') model.rename(step.name, step.to);
        else if (step.kind === 'subscribe') {
          if (step.subscribed) model.subscriptions.add(step.name);
          else model.subscriptions.delete(step.name);
        } else if (step.kind === 'read' || step.kind === 'expunge') {
          model.change(step.name, step.kind === 'expunge');
        } else model[step.kind](step.name);
      }
      client.hear(view, model.overview());
      client.expectToKnow(model.overview());
      expect(client.hear(view, model.overview())).toBe(0);
    }),
    { numRuns: 2000 },
  );
});

describe('what the session has done itself', () => {
  const start = () => {
    const model = new Model();
    for (const name of ['A/B', 'D']) model.create(name);
    return { model, view: new AccountView(model.overview()) };
  };

  test('is not told', () => {
    const { model, view } = start();
    model.create('X/Y');
    view.expectName('X/Y', true);
    model.delete('D');
    view.expectName('D', false);
    model.rename('A', 'Z');
    view.expectRename('A', 'Z');
    model.subscriptions.add('Z');
    view.expectSubscription('Z', true);
    model.append('Z/B');
    view.expectMessages(model.find('Z/B')?.id ?? 0, [1]);
    expect(view.apply(model.overview(), ALL)).toEqual([]);
  });

  test('is not told of what is below a name that is no mailbox', () => {
    const { model, view } = start();
    model.delete('A');
    view.expectName('A', false);
    expect(view.apply(model.overview(), ALL)).toEqual([]);
    model.rename('A', 'Z');
    view.expectRename('A', 'Z');
    expect(model.find('Z/B')).toBeDefined();
    expect(view.apply(model.overview(), ALL)).toEqual([]);
  });

  test('is told where somebody has undone it', () => {
    const { model, view } = start();
    view.expectName('X', true);
    view.expectName('D', false);
    view.expectSubscription('D', true);
    model.append('A');
    model.append('A');
    view.expectMessages(model.find('A')?.id ?? 0, [2]);
    model.delete('D');
    model.create('D');
    expect(view.apply(model.overview(), ALL)).toMatchObject([
      { kind: 'name', name: 'D' },
      { kind: 'status', mailbox: { name: 'A' } },
      { kind: 'status', mailbox: { name: 'D' } },
    ]);
  });

  test('is expected once', () => {
    const { model, view } = start();
    model.create('X');
    view.expectName('X', true);
    expect(view.apply(model.overview(), ALL)).toEqual([]);
    model.delete('X');
    view.apply(model.overview(), ALL);
    model.create('X');
    expect(view.apply(model.overview(), ALL)).toMatchObject([{ kind: 'name', name: 'X' }]);
  });
});

test('annotations are told once, and not those of a mailbox that is gone', () => {
  const model = new Model();
  model.create('A');
  const view = new AccountView(model.overview());
  const [id = 0] = model.mailboxes.map((mailbox) => mailbox.id);
  const entry = '/private/comment';
  const annotations = [
    { mailboxId: id, name: '/private/own', modSeq: 2 },
    { mailboxId: id, name: entry, modSeq: 3 },
    { mailboxId: id + 1, name: entry, modSeq: 3 },
    { mailboxId: undefined, name: entry, modSeq: 4 },
  ];
  view.expectAnnotations(2);
  expect(view.apply({ ...model.overview(), modSeq: 4, annotations }, ALL)).toEqual([
    { kind: 'metadata', name: 'A', entries: [entry] },
    { kind: 'metadata', name: '', entries: [entry] },
  ]);
  expect(view.modSeq).toBe(4);
  expect(view.apply({ ...model.overview(), modSeq: 4, annotations }, ALL)).toEqual([]);
});
