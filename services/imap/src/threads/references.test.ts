import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Turns } from '../turns.ts';
import { ReferenceThreads } from './references.ts';
import { bySentDate, renderThread, type Thread, type ThreadedMessage } from './thread.ts';

interface Given {
  readonly id?: string | undefined;
  readonly references?: readonly string[];
  readonly subject?: string;
  readonly isReply?: boolean;
  readonly sentAt?: number;
}

/** Numbered as they stand, sent in that order unless they say otherwise. */
function messageOf(given: Given, index: number): ThreadedMessage {
  const { subject = `${index}`, isReply = false, sentAt = index } = given;
  return { number: index + 1, sequence: index + 1, sentAt, subject, isReply };
}

async function threadsOf(messages: readonly Given[]): Promise<Thread[]> {
  const threads = new ReferenceThreads(new Turns(10_000));
  for (const [index, given] of messages.entries()) {
    await threads.add(messageOf(given, index), given.id, given.references ?? []);
  }
  return threads.finish();
}

const written = (threads: readonly Thread[]) => {
  return threads.flatMap((thread) => [...renderThread(thread)]).join('');
};

describe('by references', () => {
  const a = { id: 'a' };
  test.each<[string, Given[], string]>([
    ['nothing', [], ''],
    ['a chain', [a, { id: 'b', references: ['a'] }, { references: ['a', 'b'] }], '(1 2 3)'],
    ['branches', [a, { id: 'b', references: ['a'] }, { references: ['a'] }], '(1 (2)(3))'],
    ['the answer first', [{ references: ['a'], sentAt: 9 }, a], '(2 1)'],
    ['ids know case', [a, { references: ['A'] }], '(1)(2)'],
    ['one that is missing between two', [a, { references: ['a', 'x'] }], '(1 2)'],
    ['one that is missing above one', [{ references: ['x'] }], '(1)'],
    ['one that is missing above two', [{ references: ['x'] }, { references: ['x'] }], '((1)(2))'],
    [
      'several that are missing',
      [{ references: ['x', 'y'] }, { references: ['x', 'z', 'q'] }, { references: ['x', 'y'] }],
      '((1)(2)(3))',
    ],
    ['itself', [{ id: 'a', references: ['a'] }], '(1)'],
    [
      'each other',
      [
        { id: 'a', references: ['b'] },
        { id: 'b', references: ['a'] },
      ],
      '(2 1)',
    ],
    [
      'a list cut short: its own word on its parent counts',
      [
        a,
        { id: 'b', references: ['a'] },
        { references: ['a', 'c'] },
        { id: 'c', references: ['b'] },
      ],
      '(1 2 4 3)',
    ],
    [
      'without references it has no parent, whatever others say',
      [{ references: ['x', 'b'] }, { id: 'x' }, { id: 'b' }],
      '(2)(3 1)',
    ],
    ['one id twice: the first has it', [a, { id: 'a' }, { references: ['a'] }], '(1 3)(2)'],
    [
      'siblings in order of their dates',
      [a, { references: ['a'], sentAt: 9 }, { references: ['a'], sentAt: 5 }],
      '(1 (3)(2))',
    ],
    ['heads in order of their dates', [{ sentAt: 3 }, { sentAt: 2 }, { sentAt: 2 }], '(2)(3)(1)'],
  ])('%s', async (_, messages, threads) => {
    expect(written(await threadsOf(messages))).toBe(threads);
  });
});

describe('by subjects', () => {
  const reply = { subject: 's', isReply: true };
  const original = { subject: 's' };
  const orphan = { subject: 's', references: ['x'] };
  test.each<[string, Given[], string]>([
    ['none', [{ subject: '' }, { subject: '' }], '(1)(2)'],
    ['an answer goes below', [original, reply, reply], '(1 (2)(3))'],
    ['also one that was sent before', [reply, original], '(2 1)'],
    ['two originals are siblings', [original, original], '((1)(2))'],
    ['answers alone are siblings', [reply, reply, reply], '((1)(2)(3))'],
    ['below those that refer to one that is missing', [orphan, orphan, reply], '((1)(2)(3))'],
    [
      'with those that refer to another that is missing',
      [orphan, orphan, { ...orphan, references: ['y'] }, { ...orphan, references: ['y'] }],
      '((1)(2)(3)(4))',
    ],
    [
      'only at the top',
      [original, { id: 'a', subject: 't' }, { ...reply, references: ['a'] }],
      '(1)(2 3)',
    ],
  ])('%s', async (_, messages, threads) => {
    expect(written(await threadsOf(messages))).toBe(threads);
  });
});

/** RFC 5256 §3 word for word, whatever it costs. */
interface Plain {
  message?: ThreadedMessage;
  parent?: Plain | undefined;
  children: Plain[];
}
function literally(messages: readonly Given[]): Plain[] {
  const table = new Map<string, Plain>();
  const nodes = messages.map((given, index): Plain => {
    const node: Plain = { message: messageOf(given, index), children: [] };
    if (given.id !== undefined && !table.has(given.id)) table.set(given.id, node);
    return node;
  });
  const isBelow = (node: Plain | undefined, above: Plain): boolean => {
    return node !== undefined && (node === above || isBelow(node.parent, above));
  };
  const named = (id: string): Plain => {
    const node = table.get(id) ?? { children: [] };
    table.set(id, node);
    return node;
  };
  for (const [index, { references = [] }] of messages.entries()) {
    const chain = references.map(named);
    for (const [at, child] of chain.entries()) {
      const parent = chain[at - 1];
      if (parent && child.parent === undefined && !isBelow(parent, child)) child.parent = parent;
    }
    const node = nodes[index] as Plain;
    const last = chain.at(-1);
    node.parent = undefined;
    if (last && !isBelow(last, node)) node.parent = last;
  }
  const all = [...new Set([...nodes, ...table.values()])];
  for (const node of all) node.parent?.children.push(node);
  const prune = (siblings: Plain[], atRoot: boolean): Plain[] =>
    siblings.flatMap((node) => {
      node.children = prune(node.children, false);
      if (node.message) return [node];
      return atRoot && node.children.length > 1 ? [node] : node.children;
    });
  const first = (node: Plain): ThreadedMessage => {
    const message = node.message ?? node.children[0]?.message;
    if (message === undefined) throw new Error('no message');
    return message;
  };
  const sort = (siblings: Plain[]): void => {
    for (const { children } of siblings) sort(children);
    siblings.sort((one, other) => bySentDate(first(one), first(other)));
  };
  let root = prune(
    all.filter(({ parent }) => parent === undefined),
    true,
  );
  sort(root);
  const subjects = new Map<string, Plain>();
  for (const node of root) {
    const { subject } = first(node);
    const known = subjects.get(subject);
    if (subject === '') continue;
    if (!known) subjects.set(subject, node);
    else if (known.message && (!node.message || (known.message.isReply && !node.message.isReply))) {
      subjects.set(subject, node);
    }
  }
  for (const node of [...root]) {
    const { subject } = first(node);
    const known = subjects.get(subject);
    if (!known || known === node || !root.includes(node)) continue;
    root = root.filter((one) => one !== node);
    if (!known.message && !node.message) known.children.push(...node.children);
    else if (!known.message) known.children.push(node);
    else if (node.message?.isReply && !known.message.isReply) known.children.push(node);
    else {
      const dummy: Plain = { children: [known, node] };
      root = [...root.filter((one) => one !== known), dummy];
      subjects.set(subject, dummy);
    }
  }
  sort(root);
  return root;
}

const ids = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const anyMessages = fc.array(
  fc.record({
    id: fc.option(ids, { nil: undefined }),
    references: fc.array(ids, { maxLength: 4 }),
    subject: fc.constantFrom('', 's', 't', 'u', 'v'),
    isReply: fc.boolean(),
    sentAt: fc.nat(5),
  }),
  { maxLength: 12 },
);

test('as the RFC says, whatever the references', async () => {
  await fc.assert(
    fc.asyncProperty(anyMessages, async (messages) => {
      const expected = literally(messages) as Thread[];
      expect(written(await threadsOf(messages))).toBe(written(expected));
    }),
    { numRuns: 3000 },
  );
});

test('every message once', async () => {
  await fc.assert(
    fc.asyncProperty(anyMessages, async (messages) => {
      const numbers = written(await threadsOf(messages)).match(/\d+/g) ?? [];
      const expected = messages.map((_, index) => index + 1);
      expect(numbers.map(Number).sort((a, b) => a - b)).toEqual(expected);
    }),
    { numRuns: 1000 },
  );
});

test('made-up references cost little', async () => {
  const chain = Array.from({ length: 20_000 }, (_, at): Given => {
    return { id: `${at}`, references: [`${at - 1}`] };
  });
  // a loop each, all the way around
  const loops = Array.from({ length: 256 }, (_, at) => (at % 2 === 0 ? '19999' : '-1'));
  const all = [...chain, ...Array.from({ length: 2_000 }, (): Given => ({ references: loops }))];
  let steps = 0;
  const turns = new Turns(1);
  turns.spend = (work) => {
    steps += work;
    return undefined;
  };
  const threads = new ReferenceThreads(turns);
  for (const [index, given] of all.entries()) {
    await threads.add(messageOf(given, index), given.id, given.references ?? []);
  }
  expect(written(await threads.finish()).match(/\d+/g)).toHaveLength(all.length);
  expect(steps).toBeLessThan(2_000 * 128 * 1_100);
});

test.each([1, -1])('a thread of 50,000 levels, in direction %i', async (direction) => {
  const count = 50_000;
  const messages = Array.from({ length: count }, (_, at): Given => {
    const level = direction === 1 ? at : count - at;
    return { id: `${level}`, references: [`${level - 1}`], sentAt: level };
  });
  const numbers = written(await threadsOf(messages)).match(/\d+/g) ?? [];
  expect(numbers).toHaveLength(count);
  expect(numbers[0]).toBe(direction === 1 ? '1' : `${count}`);
});
