/**
 * SEARCH and UID SEARCH (RFC 3501 §6.4.4, RFC 9051 §6.4.4, RFC 4731, RFC 5182, RFC 9394; RFC 9755 §3 for
 * charsets). Messages are read only as far as it takes to decide, and other sessions have their turn in
 * between.
 */
import { type MessageStructure, searchedPieces } from '@mail/message';
import { StoreError } from '@mail/store';
import { ReplyError, refuse } from '../errors.ts';
import type { Numbered } from '../mailbox-view.ts';
import { MessageOctets } from '../message-octets.ts';
import { formatPartialRange, type PartialRange, pageOf } from '../parser/partial.ts';
import type { ReturnOption, SearchArguments, SearchingArguments } from '../parser/search.ts';
import { formatSet } from '../parser/sequence-set.ts';
import { Progress } from '../progress.ts';
import { type CompiledSearch, compileSearch, lowerHeader } from '../search/match.ts';
import { findTexts } from '../search/texts.ts';
import type { Completion, Numbering, Session } from '../session.ts';
import { encodeString } from '../strings.ts';
import { Turns } from '../turns.ts';

/** Structures that are held at once. */
const BATCH_STRUCTURES = 64;
/** Octets that are looked at before others have their turn; a message counts as some in any case. */
const TURN_OCTETS = 1024 * 1024;
const MESSAGE_OCTETS = 2 * 1024;

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
  const { looksAtModSeq } = compiled;
  tellFound(session, found, { ...parsed, returns, numbering, looksAtModSeq });
  return { text: 'SEARCH completed' };
}

/** Throws ReplyError for a charset that we have not, and for numbers that are not in use. */
export function compile(
  { selected: { view } }: Session,
  { returns, charset, key }: SearchingArguments,
): CompiledSearch {
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
  readonly looksAtModSeq: boolean;
  readonly word?: 'SEARCH' | 'SORT';
}

/** Tells what was found, in its order, and saves it where that was asked for. */
export function tellFound(session: Session, found: readonly Numbered[], telling: Telling): void {
  const { returns, partial, numbering, looksAtModSeq, word = 'SEARCH' } = telling;
  if (returns?.includes('SAVE')) {
    const uids = savedOf(found, returns, partial).map(({ message }) => message.uid);
    session.selected.view.saveResult(uids.sort((a, b) => a - b));
  }
  const numbers = found.map(({ sequence, message }) =>
    numbering === 'uid' ? message.uid : sequence,
  );
  let modSeq: number | undefined;
  if (looksAtModSeq) {
    session.enableCondStore();
    modSeq = highestModSeq(returns === undefined ? found : savedOf(found, returns, partial));
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

/** RFC 7162 §3.1.5; undefined where nothing was found. */
function highestModSeq(found: readonly Numbered[]): number | undefined {
  if (found.length === 0) return undefined;
  return found.reduce((highest, { message }) => Math.max(highest, message.modSeq), 0);
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

/** Every message that matches, in order. */
export async function findAll(session: Session, compiled: CompiledSearch): Promise<Numbered[]> {
  const turns = new Turns(TURN_OCTETS);
  const progress = new Progress(session, session.selected.view.count);
  const found: Numbered[] = [];
  let undecided: Numbered[] = [];
  const decide = async (): Promise<void> => {
    found.push(...(await decideByReading(session, compiled, undecided, turns, progress)));
    undecided = [];
  };
  for (const candidate of session.selected.view) {
    const verdict = compiled.matches(candidate);
    // what is undecided goes before what comes after it, so that the answer is in order
    if (verdict === undefined) undecided.push(candidate);
    else if (verdict && undecided.length > 0) {
      await decide();
      found.push(candidate);
    } else if (verdict) found.push(candidate);
    if (undecided.length === BATCH_STRUCTURES) await decide();
    await turns.spend(MESSAGE_OCTETS);
  }
  await decide();
  return found;
}

/** Those of `undecided` that match once they are read; what has gone meanwhile matches nothing. */
async function decideByReading(
  session: Session,
  compiled: CompiledSearch,
  undecided: readonly Numbered[],
  turns: Turns,
  progress: Progress,
): Promise<Numbered[]> {
  if (undecided.length === 0) return [];
  const uids = undecided.map(({ message }) => message.uid);
  const { messages } = session.store;
  const structures = await messages.structures(session.selected.mailbox.id, uids);
  const found: Numbered[] = [];
  for (const numbered of undecided) {
    const structure = structures.get(numbered.message.uid);
    if (structure === undefined) continue;
    try {
      if (await readToDecide(session, compiled, numbered, structure, turns)) found.push(numbered);
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'no-such-message')) throw error;
    }
    await progress.tell(numbered.sequence);
  }
  return found;
}

/** Reads the header where a key asks for it, then the texts if that has not decided. */
async function readToDecide(
  session: Session,
  { matches, looksAtHeader, texts }: CompiledSearch,
  numbered: Numbered,
  structure: MessageStructure,
  turns: Turns,
): Promise<boolean> {
  const { messages } = session.store;
  const octets = new MessageOctets(messages, session.selected.mailbox.id, numbered.message);
  const read = (start: number, end: number): Promise<Buffer> => octets.read(start, end);
  let candidate: Parameters<typeof matches>[0] = { ...numbered, structure };
  const ownHeader = looksAtHeader ? searchedPieces(structure)[0] : undefined;
  if (ownHeader !== undefined) {
    const { start, end } = ownHeader;
    candidate = { ...candidate, header: lowerHeader(await read(start, end)) };
    await turns.spend(end - start);
  }
  const verdict = matches(candidate);
  if (verdict !== undefined) return verdict;
  const found = await findTexts(structure, texts, read, turns);
  return matches({ ...candidate, texts: found }) === true;
}
