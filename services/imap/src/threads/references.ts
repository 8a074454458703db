/**
 * THREAD=REFERENCES (RFC 5256 §3): messages below those that they refer to, and threads of one subject
 * together. The numbers in parentheses are the RFC's steps.
 */
import { sortInTurns } from '../sort/in-turns.ts';
import type { Turns } from '../turns.ts';
import { bySentDate, type Thread, type ThreadedMessage } from './thread.ts';

/**
 * Messages above a link that are looked at for a loop; no real thread is that deep where two parts of it are
 * joined. References that were made up can then cost no more than this each.
 */
const MAX_LINK_STEPS = 1_000;

/** A message, or one that is only referred to: a dummy. */
interface Node {
  message: ThreadedMessage | undefined;
  parent: Node | undefined;
  /** Nodes whose parent it is while links are made. */
  childCount: number;
  /** Messages below it once links are made, dummies left out. */
  children: MessageNode[];
}
type MessageNode = Node & { message: ThreadedMessage };
/** At the top of a thread: only here are dummies left. */
type Head = MessageNode | (Node & { message: undefined });

const newNode = (): Node => ({
  message: undefined,
  parent: undefined,
  childCount: 0,
  children: [],
});

const firstOf = (head: Node): ThreadedMessage => {
  const first = head.message ?? head.children[0]?.message;
  if (first === undefined) throw new Error('a thread without a message');
  return first;
};
const headsBySentDate = (one: Node, other: Node) => bySentDate(firstOf(one), firstOf(other));

export class ReferenceThreads {
  readonly #byId = new Map<string, Node>();
  readonly #messages: MessageNode[] = [];
  /** In steps. */
  readonly #turns: Turns;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /** (1) Messages come in order of their sequence numbers. `references` end with the parent. */
  async add(
    message: ThreadedMessage,
    id: string | undefined,
    references: readonly string[],
  ): Promise<void> {
    const node = this.#place(message, id);
    // (A)
    let steps = references.length;
    let parent: Node | undefined;
    for (const reference of references) {
      const child = this.#named(reference);
      if (parent !== undefined && child.parent === undefined) steps += link(parent, child);
      parent = child;
    }
    // (B): what others said of its parent may have been cut short
    if (node.parent !== undefined) node.parent.childCount -= 1;
    node.parent = undefined;
    if (parent !== undefined) steps += link(parent, node);
    await this.#turns.spend(1 + steps);
  }

  /** Of several messages with one id the first alone is known by it. */
  #place(message: ThreadedMessage, id: string | undefined): MessageNode {
    const known = id === undefined ? undefined : this.#named(id);
    const node = known === undefined || known.message !== undefined ? newNode() : known;
    const placed = Object.assign(node, { message });
    this.#messages.push(placed);
    return placed;
  }

  #named(id: string): Node {
    let node = this.#byId.get(id);
    if (node === undefined) {
      node = newNode();
      this.#byId.set(id, node);
    }
    return node;
  }

  /** The threads of all that was added; nothing can be added any more. */
  async finish(): Promise<Thread[]> {
    const heads = await this.#gatherHeads();
    return this.#mergeSubjects(heads);
  }

  /**
   * (2), (3), (4): messages hang below the next message above them. Where there is none, but a dummy above
   * several, that is the head. Taken in the order of their dates, all lists come out in that order.
   */
  async #gatherHeads(): Promise<Head[]> {
    const compare = (one: MessageNode, other: MessageNode) =>
      bySentDate(one.message, other.message);
    const heads = new Set<Node>();
    for (const node of await sortInTurns(this.#messages, compare, this.#turns)) {
      const above = nextAbove(node);
      above?.children.push(node);
      if (above === undefined) heads.add(node);
      else if (above.message === undefined) heads.add(above);
      const turn = this.#turns.spend(1);
      if (turn !== undefined) await turn;
    }
    return Array.from(heads, (head) => {
      const [only] = head.children;
      const needless = head.message === undefined && head.children.length === 1;
      return (needless ? only : head) as Head;
    });
  }

  /** (5), (6) */
  async #mergeSubjects(heads: readonly Head[]): Promise<Thread[]> {
    const bySubject = await this.#tableSubjects(heads);
    const left = new Set<Head>(heads);
    const grown = new Set<Head>();
    for (const head of heads) {
      const { subject } = firstOf(head);
      const known = bySubject.get(subject);
      // (C): the subject's own, one without a subject, one that is below another already
      if (known === undefined || known === head || !left.has(head)) continue;
      left.delete(head);
      let target = known;
      if (known.message === undefined) {
        for (const child of head.message === undefined ? head.children : [head]) {
          known.children.push(child);
        }
      } else if (head.message?.isReply && !known.message.isReply) {
        known.children.push(head);
      } else {
        const children = [known, head].filter((one) => one.message !== undefined);
        target = { ...newNode(), message: undefined, children };
        left.delete(known);
        left.add(target);
        bySubject.set(subject, target);
      }
      grown.add(target);
      await this.#turns.spend(1 + head.children.length);
    }
    // (6)
    for (const head of grown) {
      head.children = await sortInTurns(head.children, headsBySentDate, this.#turns);
    }
    return sortInTurns([...left], headsBySentDate, this.#turns);
  }

  /** (A), (B): the head that others of its subject go to; a dummy first, then what is no reply. */
  async #tableSubjects(heads: readonly Head[]): Promise<Map<string, Head>> {
    const bySubject = new Map<string, Head>();
    for (const head of heads) {
      const { subject } = firstOf(head);
      if (subject === '') continue;
      const known = bySubject.get(subject);
      const better =
        known === undefined ||
        (known.message !== undefined &&
          (head.message === undefined || (known.message.isReply && !head.message.isReply)));
      if (better) bySubject.set(subject, head);
      const turn = this.#turns.spend(1);
      if (turn !== undefined) await turn;
    }
    return bySubject;
  }
}

/** Makes a link unless that closed a loop; returns the steps that it took. `child` has no parent. */
function link(parent: Node, child: Node): number {
  let steps = 1;
  // the usual case first: nothing can be below a node that has no children
  if (child.childCount > 0 || child === parent) {
    for (let above: Node | undefined = parent; above !== undefined; above = above.parent) {
      if (above === child || steps > MAX_LINK_STEPS) return steps;
      steps += 1;
    }
  }
  child.parent = parent;
  parent.childCount += 1;
  return steps;
}

/** The next message above, or else the topmost dummy. Shortens the way for those who come after. */
function nextAbove({ parent }: Node): Node | undefined {
  let top = parent;
  while (top !== undefined && top.message === undefined && top.parent !== undefined) {
    top = top.parent;
  }
  for (let at = parent; at !== undefined && at !== top; ) {
    const next: Node | undefined = at.parent;
    at.parent = top;
    at = next;
  }
  return top;
}
