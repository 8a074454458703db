/**
 * SEARCH and UID SEARCH (RFC 3501 §6.4.4). Messages are read only as far as it takes to decide, and
 * other sessions have their turn in between.
 */
import { type MessageStructure, searchedPieces } from '@mail/message';
import { StoreError } from '@mail/store';
import { ReplyError, refuse } from '../errors.ts';
import type { Numbered } from '../mailbox-view.ts';
import { MessageOctets } from '../message-octets.ts';
import type { SearchArguments } from '../parser/search.ts';
import { type CompiledSearch, compileSearch, lowerHeader } from '../search/match.ts';
import { findTexts } from '../search/texts.ts';
import type { Completion, Numbering, Session } from '../session.ts';
import { Turns } from '../turns.ts';

/** Structures that are held at once. */
const BATCH_STRUCTURES = 64;
/** Octets that are looked at before others have their turn; a message counts as some in any case. */
const TURN_OCTETS = 1024 * 1024;
const MESSAGE_OCTETS = 2 * 1024;

export async function search(
  session: Session,
  { charset, key }: SearchArguments,
  numbering: Numbering,
): Promise<Completion> {
  if (charset === undefined) throw refuse('BADCHARSET (US-ASCII UTF-8)', 'Unknown charset');
  const compiled = compileSearch(key, session.selected.view);
  if (compiled === 'no-such-number') {
    throw new ReplyError('BAD', undefined, 'No such message number');
  }
  const turns = new Turns(TURN_OCTETS);
  const found: Numbered[] = [];
  let undecided: Numbered[] = [];
  const decide = async (): Promise<void> => {
    found.push(...(await decideByReading(session, compiled, undecided, turns)));
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
  const numbers = found.map(({ sequence, message }) =>
    numbering === 'uid' ? message.uid : sequence,
  );
  session.response.raw('* SEARCH');
  for (const number of numbers) session.response.raw(` ${number}`);
  session.response.raw('\r\n');
  return { text: 'SEARCH completed' };
}

/** Those of `undecided` that match once they are read; what has gone meanwhile matches nothing. */
async function decideByReading(
  session: Session,
  compiled: CompiledSearch,
  undecided: readonly Numbered[],
  turns: Turns,
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
