/**
 * FETCH and UID FETCH (RFC 3501 §6.4.5, §7.4.2; RFC 9051 §6.4.5; RFC 7162; RFC 8474 §5; RFC 8514; RFC 9394):
 * which messages, in which order, and every item but those of fetch-sections.ts and fetch-preview.ts.
 * Structures come in batches.
 */
import {
  type MessageStructure,
  type RenderingMode,
  renderBody,
  renderBodyStructure,
  renderEnvelope,
} from '@mail/message';
import { CHUNK_BYTES, type MessageSummary } from '@mail/store';
import { ReplyError, refuse } from '../errors.ts';
import type { Numbered } from '../mailbox-view.ts';
import { formatDateTime } from '../parser/date.ts';
import type { ContentItem, FetchArguments, FetchItem } from '../parser/fetch.ts';
import { MAX_UINT32 } from '../parser/limits.ts';
import { pageOf } from '../parser/partial.ts';
import { type MessageSet, type NumberRange, resolveSet } from '../parser/sequence-set.ts';
import { encodeFlags } from '../response.ts';
import { type Completion, completeOver, type Numbering, type Session } from '../session.ts';
import { Turns } from '../turns.ts';
import { readPreview } from './fetch-preview.ts';
import { cannotDecode, isContent, isWholeMessage, Sections } from './fetch-sections.ts';
import { tellVanishedEarlier } from './resync.ts';

/** Messages whose structures are read at once. */
const BATCH_MESSAGES = 64;
/** What is marked \Seen ahead of being sent, in octets: small messages share a commit. */
const SEEN_AHEAD_OCTETS = CHUNK_BYTES;
/** Octets that are read before other sessions have their turn; a message counts as some in any case. */
const TURN_OCTETS = 1024 * 1024;
const MESSAGE_OCTETS = TURN_OCTETS / BATCH_MESSAGES;

/** One message of the answer, with what is at hand to describe it. */
interface Fetched extends Numbered {
  readonly structure: MessageStructure | undefined;
  readonly preview?: string;
}

function needsStructure(item: FetchItem): boolean {
  switch (item.kind) {
    case 'envelope':
    case 'body':
    case 'body-structure':
    case 'preview':
      return true;
    case 'section':
    case 'binary':
    case 'binary-size':
      return !isWholeMessage(item);
    default:
      return false;
  }
}

/** Fetching text without PEEK sets \Seen; its size alone does not. */
function marksSeen(item: FetchItem): boolean {
  return (item.kind === 'section' || item.kind === 'binary') && !item.peek;
}

/** The UIDs of a set as one who asks for expunged ones means it: "*" is above all that ever were. */
function uidsNamed(session: Session, set: MessageSet): readonly NumberRange[] {
  return set === 'saved' ? session.selected.view.uidRanges(set) : resolveSet(set, MAX_UINT32);
}

/** What is told besides: UID to UID FETCH, and MODSEQ to who looks for changes (RFC 7162 §3.1.4.1). */
function completeItems(
  session: Session,
  asked: readonly FetchItem[],
  changedSince: boolean,
  numbering: Numbering,
): readonly FetchItem[] {
  const asks = (kind: FetchItem['kind']) => asked.some((item) => item.kind === kind);
  if (changedSince || asks('modseq')) session.enableCondStore();
  return [
    ...(numbering === 'uid' && !asks('uid') ? [{ kind: 'uid' } as const] : []),
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
  const structured = items.some(needsStructure);
  const reads = !session.selected.readOnly && items.some(marksSeen);
  const decodes = items.some(({ kind }) => kind === 'binary' || kind === 'binary-size');
  let undecodable = false;
  if (changedSince !== undefined && vanished) {
    await tellVanishedEarlier(session, changedSince, uidsNamed(session, set));
  }
  const page = partial === undefined ? selection.found : pageOf(partial, selection.found);
  const found =
    changedSince === undefined ? page : page.filter(({ message }) => message.modSeq > changedSince);
  const turns = new Turns(TURN_OCTETS);
  for (let start = 0; start < found.length; start += BATCH_MESSAGES) {
    let batch = found.slice(start, start + BATCH_MESSAGES);
    const structures = structured ? await readStructures(session, batch) : undefined;
    if (decodes && structures !== undefined) {
      const asked = batch.length;
      batch = batch.filter(({ message: { uid } }) => canDecode(structures.get(uid), items));
      undecodable ||= batch.length < asked;
    }
    for (const group of reads ? groupByOctets(batch, items) : [batch]) {
      const seen = reads ? await markSeen(session, group) : new Map<number, MessageSummary>();
      for (const { sequence, message } of group) {
        const { uid } = message;
        const structure = structures?.get(uid);
        // somebody has expunged it; the client hears of that at a time that suits it
        if (structures !== undefined && structure === undefined) continue;
        const now = seen.get(uid);
        const told = now === undefined ? items : withFlags(session, items);
        await tell(session, { sequence, message: now ?? message, structure }, told, turns);
        await turns.spend(MESSAGE_OCTETS);
      }
    }
  }
  // RFC 9051 §7.5.2; the others have been told
  if (undecodable) throw refuse('UNKNOWN-CTE', 'A part has a transfer encoding unknown here');
  return completeOver(selection, numbering, { text: 'FETCH completed' });
}

/** A message that has gone counts as one that could be decoded: nothing is said of it. */
function canDecode(structure: MessageStructure | undefined, items: readonly FetchItem[]): boolean {
  return structure === undefined || !items.some((item) => cannotDecode(structure, item));
}

/** The text that `items` ask of a message, in octets at the most. */
function octetsAsked({ size }: MessageSummary, items: readonly FetchItem[]): number {
  let octets = 0;
  for (const item of items) {
    if (item.kind !== 'section' && item.kind !== 'binary') continue;
    octets += Math.min(size, item.partial?.count ?? size);
  }
  return octets;
}

/** Messages that are marked \Seen together: one, or several as far as they are small. */
function* groupByOctets(
  batch: readonly Numbered[],
  items: readonly FetchItem[],
): Generator<Numbered[]> {
  let group: Numbered[] = [];
  let octets = 0;
  for (const numbered of batch) {
    const asked = octetsAsked(numbered.message, items);
    if (group.length > 0 && octets + asked > SEEN_AHEAD_OCTETS) {
      yield group;
      group = [];
      octets = 0;
    }
    group.push(numbered);
    octets += asked;
  }
  yield group;
}

/** Fetching a body without PEEK sets \Seen; returns those that it changed. */
async function markSeen(
  session: Session,
  group: readonly Numbered[],
): Promise<Map<number, MessageSummary>> {
  const { mailbox, view } = session.selected;
  const unseen = group
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
  turns: Turns,
): Promise<void> {
  const { response } = session;
  const sections = new Sections(session, fetched.message, fetched.structure, turns);
  if (!(await sections.readAhead(items))) return;
  const { message, structure } = fetched;
  let described = fetched;
  if (structure !== undefined && items.some(({ kind }) => kind === 'preview')) {
    const preview = await readPreview(session, message, structure, turns);
    if (preview === undefined) return;
    described = { ...fetched, preview };
  }
  if (items.some(({ kind }) => kind === 'section' || kind === 'binary'))
    session.context.countRead();
  response.raw(`* ${fetched.sequence} FETCH (`);
  for (const [index, item] of items.entries()) {
    if (index > 0) response.raw(' ');
    if (isContent(item)) await sections.tell(item);
    else response.raw(renderItem(session, described, item));
  }
  response.raw(')\r\n');
  const { room } = response;
  if (room !== undefined) await room;
}

function renderingMode({ strings, enabled }: Session): RenderingMode {
  return { strings, rev2: enabled.has('IMAP4rev2') };
}

function renderItem(
  session: Session,
  { message, structure, preview }: Fetched,
  item: Exclude<FetchItem, ContentItem>,
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
    case 'email-id':
      return `EMAILID (${message.emailId})`;
    case 'modseq':
      return `MODSEQ (${message.modSeq})`;
    case 'preview':
      return `PREVIEW ${session.strings.nullable(preview)}`;
    case 'save-date':
      return `SAVEDATE "${formatDateTime(new Date(message.savedAt))}"`;
    case 'thread-id':
      // threads are not kept (RFC 8474 §5.2)
      return 'THREADID NIL';
    case 'envelope':
      return `ENVELOPE ${structure ? renderEnvelope(structure.envelope, session.strings) : 'NIL'}`;
    case 'body':
      return `BODY ${structure ? renderBody(structure.root, renderingMode(session)) : 'NIL'}`;
    case 'body-structure':
      return `BODYSTRUCTURE ${structure ? renderBodyStructure(structure.root, renderingMode(session)) : 'NIL'}`;
  }
}
