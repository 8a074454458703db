/**
 * FETCH and UID FETCH (RFC 3501 §6.4.5, §7.4.2). Structures come in batches, octets of bodies in pieces
 * and only those that are asked for, each piece once the client has taken the one before.
 */
import { setImmediate as othersTurn } from 'node:timers/promises';
import { type MessageStructure, pickHeaderFields } from '@mail/message';
import { type MessageSummary, StoreError } from '@mail/store';
import { SessionEnd } from '../errors.ts';
import type { Numbered } from '../mailbox-view.ts';
import { formatDateTime } from '../parser/date.ts';
import type { FetchArguments, FetchItem, SectionItem } from '../parser/fetch.ts';
import { renderBodyStructure, renderEnvelope } from '../render-structure.ts';
import { encodeFlags } from '../response.ts';
import { locateSection, type OctetRange, renderSection } from '../section.ts';
import { type Completion, completeOver, type Numbering, type Session } from '../session.ts';

/** Messages whose structures are read at once; other sessions have their turn between batches. */
const BATCH_MESSAGES = 64;
/** Octets of a body that are held at once: the store's own unit. */
const PIECE_OCTETS = 256 * 1024;

/** A section of one message, its first piece read. */
interface OpenSection {
  readonly first: Buffer;
  /** What is still to be read from the store. */
  readonly rest: OctetRange;
}

/** One message of the answer, with what is at hand to describe it. */
interface Fetched extends Numbered {
  readonly structure: MessageStructure | undefined;
}

function isWholeMessage({ section: { part, text } }: SectionItem): boolean {
  return part.length === 0 && text === 'all';
}

function needsStructure(item: FetchItem): boolean {
  switch (item.kind) {
    case 'envelope':
    case 'body':
    case 'body-structure':
      return true;
    case 'section':
      return !isWholeMessage(item);
    default:
      return false;
  }
}

export async function fetch(
  session: Session,
  { set, items: asked }: FetchArguments,
  numbering: Numbering,
): Promise<Completion> {
  const selection = session.resolve(set, numbering);
  const named = numbering === 'uid' && !asked.some(({ kind }) => kind === 'uid');
  const items: readonly FetchItem[] = named ? [{ kind: 'uid' }, ...asked] : asked;
  const structured = items.some(needsStructure);
  const reads =
    !session.selected.readOnly && items.some((item) => item.kind === 'section' && !item.peek);
  const { found } = selection;
  for (let start = 0; start < found.length; start += BATCH_MESSAGES) {
    if (start > 0) await othersTurn();
    const batch = found.slice(start, start + BATCH_MESSAGES);
    const seen = reads ? await markSeen(session, batch) : new Map<number, MessageSummary>();
    const structures = structured ? await readStructures(session, batch) : undefined;
    for (const { sequence, message } of batch) {
      const { uid } = message;
      const structure = structures?.get(uid);
      // somebody has expunged it; the client hears of that at a time that suits it
      if (structures !== undefined && structure === undefined) continue;
      const now = seen.get(uid);
      const told: readonly FetchItem[] =
        now !== undefined && !items.some(({ kind }) => kind === 'flags')
          ? [...items, { kind: 'flags' }]
          : items;
      await tell(session, { sequence, message: now ?? message, structure }, told);
    }
  }
  return completeOver(selection, numbering, { text: 'FETCH completed' });
}

/** Fetching a body without PEEK sets \Seen; returns those that it changed. */
async function markSeen(
  session: Session,
  batch: readonly Numbered[],
): Promise<Map<number, MessageSummary>> {
  const { mailbox, view } = session.selected;
  const unseen = batch
    .filter(({ message }) => !message.flags.includes('\\Seen'))
    .map(({ message }) => message.uid);
  if (unseen.length === 0) return new Map();
  const { messages } = session.store;
  const changed = await messages.changeFlags(mailbox.id, unseen, 'add', ['\\Seen']);
  view.note(changed, (_, now) => now.flags);
  return new Map(changed.map((message) => [message.uid, message]));
}

function readStructures(
  session: Session,
  batch: readonly Numbered[],
): Promise<Map<number, MessageStructure>> {
  const uids = batch.map(({ message }) => message.uid);
  return session.store.messages.structures(session.selected.mailbox.id, uids);
}

/** Writes `* n FETCH (...)` for one message; nothing, if it is gone. */
async function tell(
  session: Session,
  fetched: Fetched,
  items: readonly FetchItem[],
): Promise<void> {
  const { response } = session;
  const sections = await openSections(session, fetched, items);
  if (sections === 'gone') return;
  response.raw(`* ${fetched.sequence} FETCH (`);
  for (const [index, item] of items.entries()) {
    if (index > 0) response.raw(' ');
    if (item.kind === 'section') await tellSection(session, fetched, item, sections.get(item));
    else response.raw(renderItem(session, fetched, item));
  }
  response.raw(')\r\n');
  const { room } = response;
  if (room !== undefined) await room;
}

function renderItem(
  session: Session,
  { message, structure }: Fetched,
  item: Exclude<FetchItem, SectionItem>,
): string {
  switch (item.kind) {
    case 'flags':
      session.selected.view.told(message.uid);
      return `FLAGS ${encodeFlags(message.flags)}`;
    case 'internal-date':
      return `INTERNALDATE "${formatDateTime(message.internalDate)}"`;
    case 'size':
      return `RFC822.SIZE ${message.size}`;
    case 'uid':
      return `UID ${message.uid}`;
    case 'envelope':
      return `ENVELOPE ${structure ? renderEnvelope(structure.envelope) : 'NIL'}`;
    case 'body':
      return `BODY ${structure ? renderBodyStructure(structure.root, false) : 'NIL'}`;
    case 'body-structure':
      return `BODYSTRUCTURE ${structure ? renderBodyStructure(structure.root, true) : 'NIL'}`;
  }
}

/**
 * Finds every section of the answer and reads its first piece, so that a message that has gone leaves
 * no half response behind. Sections that the message has not are undefined.
 */
async function openSections(
  session: Session,
  fetched: Fetched,
  items: readonly FetchItem[],
): Promise<Map<SectionItem, OpenSection | undefined> | 'gone'> {
  const sections = new Map<SectionItem, OpenSection | undefined>();
  try {
    for (const item of items) {
      if (item.kind === 'section') sections.set(item, await openSection(session, fetched, item));
    }
    return sections;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'no-such-message') return 'gone';
    throw error;
  }
}

async function openSection(
  session: Session,
  { message, structure }: Fetched,
  item: SectionItem,
): Promise<OpenSection | undefined> {
  const { section, partial } = item;
  const whole: OctetRange | undefined = isWholeMessage(item)
    ? { start: 0, end: message.size }
    : structure && locateSection(structure, section);
  if (whole === undefined) return undefined;
  const read = (range: OctetRange): Promise<Buffer> => readRange(session, message.uid, range);
  if (section.text === 'header-fields' || section.text === 'header-fields-not') {
    const header = await read(whole);
    const fields = pickHeaderFields(
      header,
      { headerStart: 0, bodyStart: header.length },
      section.fields,
      section.text === 'header-fields-not',
    );
    const chosen = partial
      ? fields.subarray(partial.offset, partial.offset + partial.count)
      : fields;
    return { first: chosen, rest: { start: 0, end: 0 } };
  }
  const start = Math.min(whole.start + (partial?.offset ?? 0), whole.end);
  const end = partial ? Math.min(start + partial.count, whole.end) : whole.end;
  const piece = { start, end: Math.min(start + PIECE_OCTETS, end) };
  return { first: await read(piece), rest: { start: piece.end, end } };
}

async function readRange(session: Session, uid: number, range: OctetRange): Promise<Buffer> {
  if (range.start === range.end) return Buffer.alloc(0);
  const { mailbox } = session.selected;
  return session.store.messages.read(mailbox.id, uid, range.start, range.end);
}

/** The name of a section in an answer: BODY[HEADER.FIELDS (TO)]<0> (RFC 3501 §7.4.2). */
function sectionName({ label, section, partial }: SectionItem): string {
  if (label !== 'BODY') return label;
  return `BODY[${renderSection(section)}]${partial ? `<${partial.offset}>` : ''}`;
}

async function tellSection(
  session: Session,
  { message: { uid } }: Fetched,
  item: SectionItem,
  open: OpenSection | undefined,
): Promise<void> {
  const { response } = session;
  if (open === undefined) return response.raw(`${sectionName(item)} NIL`);
  const { first, rest } = open;
  response.raw(`${sectionName(item)} {${first.length + rest.end - rest.start}}\r\n`);
  response.octets(first);
  for (let start = rest.start; start < rest.end; start += PIECE_OCTETS) {
    await response.room;
    const end = Math.min(start + PIECE_OCTETS, rest.end);
    response.octets(await readPromised(session, uid, { start, end }));
  }
}

/** Octets that the head of a literal has promised: without them the stream can't go on. */
async function readPromised(session: Session, uid: number, range: OctetRange): Promise<Buffer> {
  try {
    return await readRange(session, uid, range);
  } catch (cause) {
    if (!(cause instanceof StoreError)) throw cause;
    session.connection.destroy();
    throw new SessionEnd('The message went away while it was read', { cause });
  }
}
