/**
 * SEARCH and UID SEARCH (RFC 3501 §6.4.4, RFC 9051 §6.4.4, RFC 4731, RFC 5182, RFC 9394; RFC 9755 §3 for
 * charsets). What costs little decides first, the store looks into texts of what is open then, and other
 * sessions have their turn in between.
 */
import type { ModSeq, Uid } from '@mail/store';
import { ReplyError, refuse } from '../errors.ts';
import type { Numbered } from '../mailbox-view.ts';
import { formatPartialRange, type PartialRange, pageOf } from '../parser/partial.ts';
import {
  namesNumbers,
  type ReturnOption,
  type SearchArguments,
  type SearchingArguments,
} from '../parser/search.ts';
import { formatSet } from '../parser/sequence-set.ts';
import { Progress } from '../progress.ts';
import { type Candidate, type CompiledSearch, compileSearch } from '../search/match.ts';
import { findText } from '../search/texts.ts';
import type { Completion, Numbering, Session } from '../session.ts';
import { encodeString } from '../strings.ts';
import { cut, type Described, eachSummary, PAGE_MESSAGES } from '../summaries.ts';
import { Turns } from '../turns.ts';

/** Structures that are held at once. */
const BATCH_STRUCTURES = 64;
/** Messages that are looked at before others have their turn; one counts as often as there are many keys. */
const TURN_MESSAGES = 512;
const MANY_KEYS = 16;
/** Messages whose texts the store is asked of at once, where nothing else of them is of interest. */
const PAGE_OF_TEXTS = 8 * PAGE_MESSAGES;

export async function search(
  session: Session,
  parsed: SearchArguments,
  numbering: Numbering,
): Promise<Completion> {
  if (parsed.namesCharset && session.enabled.has('UTF8=ACCEPT')) {
    throw new ReplyError('BAD', undefined, 'All is UTF-8 once UTF8=ACCEPT is enabled');
  }
  // IMAP4rev2 knows no other answer (RFC 9051 §6.4.4)
  const returns =
    parsed.returns ?? (session.enabled.has('IMAP4rev2') ? ['ALL' as const] : undefined);
  const compiled = compile(session, parsed);
  const found = await findAll(session, compiled);
  const modSeqs = compiled.looksAtModSeq ? modSeqsOf(found) : undefined;
  tellFound(session, found, { ...parsed, returns, numbering, modSeqs });
  return { text: 'SEARCH completed' };
}

/** Throws ReplyError for a charset that we have not, and for numbers that are not in use or may not be used. */
export function compile(
  session: Session,
  { returns, charset, key }: SearchingArguments,
): CompiledSearch {
  const { view } = session.selected;
  if (namesNumbers(key)) session.requireNumbers();
  if (charset === undefined) {
    // a SEARCH that is refused leaves nothing saved (RFC 5182 §2.1)
    if (returns?.includes('SAVE')) view.saveResult([]);
    throw refuse('BADCHARSET (US-ASCII UTF-8)', 'Unknown charset');
  }
  const compiled = compileSearch(key, view, Date.now());
  if (compiled === 'no-such-number') {
    throw new ReplyError('BAD', undefined, 'No such message number');
  }
  return compiled;
}

/** How an answer is told: as the command asked, and where no RETURN did, as a list behind `word`. */
interface Telling {
  readonly returns: readonly ReturnOption[] | undefined;
  readonly partial?: PartialRange;
  readonly numbering: Numbering;
  /** By UID, where the search looked at them: the answer then tells the highest. */
  readonly modSeqs: ReadonlyMap<Uid, ModSeq> | undefined;
  readonly word?: 'SEARCH' | 'SORT';
}

/** Tells what was found, in its order, and saves it where that was asked for. */
export function tellFound(session: Session, found: readonly Numbered[], telling: Telling): void {
  const { returns, partial, numbering, modSeqs, word = 'SEARCH' } = telling;
  if (returns?.includes('SAVE')) {
    const uids = savedOf(found, returns, partial).map(({ uid }) => uid);
    session.selected.view.saveResult(uids.sort((a, b) => a - b));
  }
  const numbers = found.map(({ sequence, uid }) => (numbering === 'uid' ? uid : sequence));
  let modSeq: number | undefined;
  if (modSeqs !== undefined) {
    session.enableCondStore();
    const told = returns === undefined ? found : savedOf(found, returns, partial);
    modSeq = highestModSeq(told, modSeqs);
  }
  if (returns === undefined) tellList(session, word, numbers, modSeq);
  else tellExtended(session, numbers, { ...telling, returns }, modSeq);
}

/** What SAVE keeps: all, unless only the ends or a page were asked for (RFC 5182 §2.4, RFC 9394 §3.2). */
function savedOf(
  found: readonly Numbered[],
  returns: readonly ReturnOption[],
  partial: PartialRange | undefined,
): Numbered[] {
  const least = returns.includes('MIN');
  const most = returns.includes('MAX');
  const some = least || most || partial !== undefined;
  if (returns.includes('ALL') || returns.includes('COUNT') || !some) return [...found];
  const page = partial === undefined ? [] : pageOf(partial, found);
  const ends = [...(least ? found.slice(0, 1) : []), ...(most ? found.slice(-1) : [])];
  return [...new Set([...page, ...ends])];
}

export function modSeqsOf(found: readonly Found[]): Map<Uid, ModSeq> {
  return new Map(found.map(({ uid, message }) => [uid, message?.modSeq ?? 0]));
}

/** RFC 7162 §3.1.5; undefined where nothing was found. */
function highestModSeq(
  found: readonly Numbered[],
  modSeqs: ReadonlyMap<Uid, ModSeq>,
): number | undefined {
  if (found.length === 0) return undefined;
  return found.reduce((highest, { uid }) => Math.max(highest, modSeqs.get(uid) ?? 0), 0);
}

function tellList(
  { response }: Session,
  word: string,
  numbers: readonly number[],
  modSeq: number | undefined,
): void {
  response.raw(`* ${word}`);
  for (const number of numbers) response.raw(` ${number}`);
  response.raw(modSeq === undefined ? '\r\n' : ` (MODSEQ ${modSeq})\r\n`);
}

/** RFC 4731 §3.1, RFC 9394 §3.1; of nothing but SAVE nothing is told (RFC 5182 §2.4). */
function tellExtended(
  { response, tag }: Session,
  numbers: readonly number[],
  { returns, partial, numbering }: Telling & { readonly returns: readonly ReturnOption[] },
  modSeq: number | undefined,
): void {
  if (partial === undefined && returns.every((option) => option === 'SAVE')) return;
  const [least] = numbers;
  const items = [
    ...(returns.includes('MIN') && least !== undefined ? [`MIN ${least}`] : []),
    ...(returns.includes('MAX') && least !== undefined ? [`MAX ${numbers.at(-1)}`] : []),
    ...(returns.includes('COUNT') ? [`COUNT ${numbers.length}`] : []),
    ...(returns.includes('ALL') && least !== undefined ? [`ALL ${formatSet(numbers)}`] : []),
    ...(partial === undefined ? [] : [`PARTIAL ${tellPage(partial, numbers)}`]),
    ...(modSeq === undefined ? [] : [`MODSEQ ${modSeq}`]),
  ];
  const head = `ESEARCH (TAG ${encodeString(tag)})${numbering === 'uid' ? ' UID' : ''}`;
  response.untagged([head, ...items].join(' '));
}

function tellPage(partial: PartialRange, numbers: readonly number[]): string {
  const page = pageOf(partial, numbers);
  return `(${formatPartialRange(partial)} ${page.length === 0 ? 'NIL' : formatSet(page)})`;
}

/** A message that a search has found; with its summary where that was looked at. */
export type Found = Numbered & Partial<Pick<Described, 'message'>>;

/** Every message that matches, in order. */
export async function findAll(session: Session, compiled: CompiledSearch): Promise<Found[]> {
  const { store, selected } = session;
  const { start, texts } = compiled;
  const most = texts.length === 0 ? PAGE_MESSAGES : PAGE_OF_TEXTS;
  const selection = start.selection ?? selected.view.everything();
  const pages =
    start.mark === undefined
      ? selection.pages(most)
      : cut(selection.among(await store.messages.marked(selected.mailbox.id, start.mark)), most);
  const turns = new Turns(TURN_MESSAGES);
  const progress = new Progress(session, selection.count);
  const found: Found[] = [];
  for (const page of pages) {
    for (const one of await findInPage(session, compiled, page, turns)) found.push(one);
    await turns.spend(page.length);
    await progress.tell(page.at(-1)?.sequence ?? 0);
  }
  return found;
}

/** First by numbers alone, then by summaries or flags, then by texts, last by structures. */
async function findInPage(
  session: Session,
  compiled: CompiledSearch,
  page: readonly Numbered[],
  turns: Turns,
): Promise<Found[]> {
  const found: Found[] = [];
  const work = Math.floor(compiled.keys / MANY_KEYS);
  /** Those that are still open, which are few where what is known of them decides. */
  const sieve = async <T extends Candidate>(candidates: readonly T[]): Promise<T[]> => {
    const open: T[] = [];
    for (const candidate of candidates) {
      const turn = turns.spend(work);
      if (turn !== undefined) await turn;
      const verdict = compiled.matches(candidate);
      if (verdict === true) found.push(candidate);
      else if (verdict === undefined) open.push(candidate);
    }
    return open;
  };
  // the answer tells of the sequences of all that it names
  let open: readonly Candidate[] = compiled.looksAtModSeq ? page : await sieve(page);
  if (compiled.looksAtSummary || compiled.looksAtModSeq) {
    const described: Described[] = [];
    for await (const one of eachSummary(session, open)) described.push(one);
    open = await sieve(described);
  } else if (compiled.looksAtFlags && open.length > 0) {
    const uids = open.map(({ uid }) => uid);
    const found = await session.store.messages.flags(session.selected.mailbox.id, uids);
    open = await sieve(
      open.flatMap((candidate, index) => {
        const flags = found[index];
        return flags === undefined ? [] : { ...candidate, flags };
      }),
    );
  }
  const texts: ReadonlySet<Uid>[] = [];
  for (const sought of compiled.texts) {
    if (open.length === 0) break;
    texts.push(await findText(session, sought, open));
    open = await sieve(open.map((candidate) => ({ ...candidate, texts })));
  }
  for (const batch of cut(open, BATCH_STRUCTURES))
    await sieve(await withStructures(session, compiled, batch));
  return found.sort((a, b) => a.sequence - b.sequence);
}

/** What has gone meanwhile is left out. */
async function withStructures(
  session: Session,
  compiled: CompiledSearch,
  candidates: readonly Candidate[],
): Promise<Candidate[]> {
  const uids = candidates.map(({ uid }) => uid);
  const { messages } = session.store;
  const { id } = session.selected.mailbox;
  const structures = await messages.structures(id, uids);
  const emailIds = compiled.looksAtEmailId ? await messages.emailIds(id, uids) : undefined;
  return candidates.flatMap((candidate) => {
    const structure = structures.get(candidate.uid);
    const emailId = emailIds?.get(candidate.uid);
    if (structure === undefined) return [];
    return [{ ...candidate, structure, ...(emailId !== undefined && { emailId }) }];
  });
}
