/**
 * FETCH and UID FETCH (RFC 3501 §6.4.5, §7.4.2; RFC 9051 §6.4.5; RFC 7162; RFC 9394; RFC 9586): which messages, in
 * which order, and what is read of them at once. How items are told is fetch-items.ts's and fetch-sections.ts's.
 */
import { CHUNK_BYTES, type ChangedFlags } from '@mail/store';
import { has } from '../access/rights.ts';
import { ReplyError, refuse } from '../errors.ts';
import type { Numbered, Selection } from '../mailbox-view.ts';
import type { FetchArguments, FetchItem } from '../parser/fetch.ts';
import { MAX_UINT32 } from '../parser/limits.ts';
import { pageOf } from '../parser/partial.ts';
import { type MessageSet, type NumberRange, resolveSet } from '../parser/sequence-set.ts';
import { type Completion, completeOver, type Numbering, type Session } from '../session.ts';
import { cut, describe, PAGE_MESSAGES } from '../summaries.ts';
import { Turns } from '../turns.ts';
import { areColumns, tellColumns } from './fetch-columns.ts';
import {
  type Asked,
  type Contents,
  contentsOf,
  type Fetched,
  type Needs,
  needsOf,
  readContents,
} from './fetch-contents.ts';
import { renderItem } from './fetch-items.ts';
import { readPreview } from './fetch-preview.ts';
import { cannotDecode, isContent, Sections } from './fetch-sections.ts';
import { tellVanishedEarlier } from './resync.ts';

/** Messages of which structures or octets are read at once. */
const BATCH_MESSAGES = 64;
/** Those of which what is ready to be told is. */
const BATCH_RENDERED = 512;
/** What is marked \Seen ahead of being sent, in octets: small messages share a commit. */
const SEEN_AHEAD_OCTETS = CHUNK_BYTES;
/** Octets that are read before other sessions have their turn; a message counts as some in any case. */
const TURN_OCTETS = 1024 * 1024;
const MESSAGE_OCTETS = TURN_OCTETS / PAGE_MESSAGES;

/** Fetching text without PEEK sets \Seen; its size alone does not. */
function marksSeen(item: FetchItem): boolean {
  return (item.kind === 'section' || item.kind === 'binary') && !item.peek;
}

/** The UIDs of a set as one who asks for expunged ones means it: "*" is above all that ever were. */
function uidsNamed(session: Session, set: MessageSet): readonly NumberRange[] {
  return set === 'saved' ? session.selected.view.uidRanges(set) : resolveSet(set, MAX_UINT32);
}

/**
 * What is told besides: UID to UID FETCH, unless the answer begins with it (RFC 9586), and MODSEQ to who looks
 * for changes (RFC 7162 §3.1.4.1).
 */
function completeItems(
  session: Session,
  asked: readonly FetchItem[],
  changedSince: boolean,
  numbering: Numbering,
): readonly FetchItem[] {
  const asks = (kind: FetchItem['kind']) => asked.some((item) => item.kind === kind);
  if (changedSince || asks('modseq')) session.enableCondStore();
  return [
    ...(numbering === 'uid' && !session.uidOnly && !asks('uid') ? [{ kind: 'uid' } as const] : []),
    ...asked,
    ...(changedSince && !asks('modseq') ? [{ kind: 'modseq' } as const] : []),
  ];
}

/** Of a message whose flags the FETCH itself has changed. */
function withFlags(session: Session, items: readonly FetchItem[]): readonly FetchItem[] {
  const asks = (kind: FetchItem['kind']) => items.some((item) => item.kind === kind);
  return [
    ...items,
    ...(asks('flags') ? [] : [{ kind: 'flags' } as const]),
    ...(session.condStore && !asks('modseq') ? [{ kind: 'modseq' } as const] : []),
  ];
}

export async function fetch(
  session: Session,
  { set, items: asked, changedSince, vanished, partial }: FetchArguments,
  numbering: Numbering,
): Promise<Completion> {
  if (vanished && (numbering !== 'uid' || !session.enabled.has('QRESYNC'))) {
    throw new ReplyError('BAD', undefined, 'VANISHED is for UID FETCH once QRESYNC is enabled');
  }
  if (partial !== undefined && numbering !== 'uid') {
    throw new ReplyError('BAD', undefined, 'PARTIAL is for UID FETCH');
  }
  if (changedSince !== undefined) await session.refresh();
  const selection = session.resolve(set, numbering);
  const items = completeItems(session, asked, changedSince !== undefined, numbering);
  if (changedSince !== undefined && vanished) {
    await tellVanishedEarlier(session, changedSince, uidsNamed(session, set));
  }
  const batch = batchFor(needsOf(items));
  const pages = await pagesOf(session, selection, { changedSince, partial }, batch);
  const teller = new Teller(session, items);
  for (const page of pages) await teller.tellPage(page);
  // RFC 9051 §7.5.2; the others have been told
  if (teller.undecodable) {
    throw refuse('UNKNOWN-CTE', 'A part has a transfer encoding unknown here');
  }
  return completeOver(selection.missing || teller.missing, numbering, { text: 'FETCH completed' });
}

/** Messages that are read at once: as many as memory and the others' turns allow. */
function batchFor({ structure, header, octets, anyContents }: Needs): number {
  if (structure || header || octets) return BATCH_MESSAGES;
  return anyContents ? BATCH_RENDERED : PAGE_MESSAGES;
}

/** What is asked of a selection, `most` messages at a time. */
async function pagesOf(
  { store, selected }: Session,
  selection: Selection,
  { changedSince, partial }: Pick<FetchArguments, 'changedSince' | 'partial'>,
  most: number,
): Promise<Iterable<Numbered[]>> {
  if (changedSince === undefined && partial === undefined) return selection.pages(most);
  let found = partial === undefined ? undefined : pageOf(partial, selection.all());
  if (changedSince !== undefined) {
    const changed = await store.messages.changedUids(selected.mailbox.id, changedSince);
    if (found === undefined) found = selection.among(changed);
    else {
      const among = new Set(changed);
      found = found.filter(({ uid }) => among.has(uid));
    }
  }
  return cut(found ?? [], most);
}

/** The text that `items` ask of a message, in octets at the most. */
function octetsAsked({ message }: Asked, items: readonly FetchItem[]): number {
  const size = message?.size ?? 0;
  let octets = 0;
  for (const item of items) {
    if (item.kind !== 'section' && item.kind !== 'binary') continue;
    octets += Math.min(size, item.partial?.count ?? size);
  }
  return octets;
}

/** Messages that are read, and marked \Seen, together: one, or several as far as they are small. */
function* groupByOctets(page: readonly Asked[], items: readonly FetchItem[]): Generator<Asked[]> {
  let group: Asked[] = [];
  let octets = 0;
  for (const one of page) {
    const asked = octetsAsked(one, items);
    if (group.length > 0 && octets + asked > SEEN_AHEAD_OCTETS) {
      yield group;
      group = [];
      octets = 0;
    }
    group.push(one);
    octets += asked;
  }
  if (group.length > 0) yield group;
}

function withChange(asked: Asked, { flags, modSeq }: ChangedFlags): Asked {
  const { message } = asked;
  return message === undefined ? asked : { ...asked, message: { ...message, flags, modSeq } };
}

/** The answer to one FETCH, a page at a time. */
class Teller {
  /** Messages were asked for that are gone. */
  missing = false;
  /** Messages were left out, a part of which cannot be decoded. */
  undecodable = false;
  readonly #session: Session;
  readonly #items: readonly FetchItem[];
  readonly #itemsWithFlags: readonly FetchItem[];
  readonly #needs: Needs;
  readonly #marksSeen: boolean;
  readonly #decodes: boolean;
  readonly #areColumns: boolean;
  readonly #turns = new Turns(TURN_OCTETS);

  constructor(session: Session, items: readonly FetchItem[]) {
    this.#session = session;
    this.#items = items;
    this.#itemsWithFlags = withFlags(session, items);
    this.#needs = needsOf(items);
    this.#marksSeen = has('s')(session.rights) && items.some(marksSeen);
    this.#areColumns = areColumns(items);
    this.#decodes = items.some(({ kind }) => kind === 'binary' || kind === 'binary-size');
  }

  async tellPage(page: readonly Numbered[]): Promise<void> {
    if (this.#areColumns) {
      const told = await tellColumns(this.#session, page, this.#items);
      if (told !== undefined) {
        this.missing ||= told.missing;
        await this.#letOthers(page.length);
        return;
      }
    }
    const asked = await this.#ask(page);
    if (asked.length < page.length) this.missing = true;
    const groups = this.#needs.octets ? groupByOctets(asked, this.#items) : [asked];
    for (const group of groups) await this.#tellGroup(group);
  }

  async #ask(page: readonly Numbered[]): Promise<readonly Asked[]> {
    if (this.#needs.summary) return describe(this.#session, page);
    if (!this.#needs.flags) return page;
    const { store, selected } = this.#session;
    const uids = page.map(({ uid }) => uid);
    const found = await store.messages.flags(selected.mailbox.id, uids);
    return page.flatMap(({ sequence, uid }, index) => {
      const flags = found[index];
      return flags === undefined ? [] : { sequence, uid, flags };
    });
  }

  async #tellGroup(asked: readonly Asked[]): Promise<void> {
    const contents = await readContents(this.#session, asked, this.#needs);
    const group = this.#decodes ? asked.filter((one) => this.#canDecode(one, contents)) : asked;
    if (group.length < asked.length) this.undecodable = true;
    const seen = this.#marksSeen ? await this.#markSeen(group) : undefined;
    for (const one of group) {
      const changed = seen?.get(one.uid);
      const told = changed === undefined ? this.#items : this.#itemsWithFlags;
      const now = changed === undefined ? one : withChange(one, changed);
      const fetched = contentsOf(contents, now, this.#needs);
      // somebody has expunged it; the client hears of that at a time that suits it
      if (fetched !== undefined) {
        if (this.#needs.octets || this.#needs.preview) await this.#tellRead(fetched, told);
        else this.#tellPlain(fetched, told);
      } else this.missing = true;
      const waiting = this.#letOthers(1);
      if (waiting !== undefined) await waiting;
    }
  }

  /** After that many messages were told: lets the client read, and others have their turn. */
  #letOthers(messages: number): Promise<void> | undefined {
    const { room } = this.#session.response;
    const turn = this.#turns.spend(messages * MESSAGE_OCTETS);
    return room === undefined ? turn : room.then(() => turn);
  }

  /** A message that has gone counts as one that could be decoded: nothing is said of it. */
  #canDecode({ uid }: Asked, contents: Contents): boolean {
    const structure = contents.structures.get(uid);
    if (structure === undefined) return true;
    return !this.#items.some((item) => cannotDecode(structure, item));
  }

  /** Fetching a body without PEEK sets \Seen; returns those that it changed. */
  async #markSeen(group: readonly Asked[]): Promise<Map<number, ChangedFlags>> {
    const { store, selected } = this.#session;
    const unseen = group.filter(({ message }) => !message?.flags.includes('\\Seen'));
    if (unseen.length === 0) return new Map();
    const uids = unseen.map(({ uid }) => uid);
    const changed = await store.messages.changeFlags(selected.mailbox.id, uids, 'add', ['\\Seen']);
    selected.view.note(changed, true);
    return new Map(changed.map((message) => [message.uid, message]));
  }

  /** `* n FETCH (...)` of what is at hand. */
  #tellPlain(fetched: Fetched, items: readonly FetchItem[]): void {
    let line = '';
    for (const item of items) {
      if (isContent(item)) throw new Error('is read');
      line += line === '' ? '' : ' ';
      line += renderItem(this.#session, fetched, item);
    }
    this.#session.response.raw(`${this.#session.fetchHead(fetched)}${line})\r\n`);
  }

  /** The same with what is read from the message; nothing, if it is gone. */
  async #tellRead(fetched: Fetched, items: readonly FetchItem[]): Promise<void> {
    const session = this.#session;
    const { response } = session;
    const sections = new Sections(session, fetched, this.#turns);
    if (!(await sections.readAhead(items))) return;
    let described = fetched;
    if (this.#needs.preview) {
      const preview = await readPreview(session, fetched, this.#turns);
      if (preview === undefined) return;
      described = { ...fetched, preview };
    }
    if (items.some(({ kind }) => kind === 'section' || kind === 'binary')) {
      session.context.countRead();
    }
    response.raw(session.fetchHead(fetched));
    for (const [index, item] of items.entries()) {
      if (index > 0) response.raw(' ');
      if (isContent(item)) await sections.tell(item);
      else response.raw(renderItem(session, described, item));
    }
    response.raw(')\r\n');
  }
}
