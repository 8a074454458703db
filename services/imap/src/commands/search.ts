/**
 * SEARCH and UID SEARCH (RFC 3501 §6.4.4). Messages are read only as far as it takes to decide, in
 * batches between which other sessions have their turn.
 */
import { setImmediate as othersTurn } from 'node:timers/promises';
import { searchableText } from '@mail/message';
import { StoreError } from '@mail/store';
import { ReplyError, refuse } from '../errors.ts';
import type { Numbered } from '../mailbox-view.ts';
import type { SearchArguments } from '../parser/search.ts';
import { type Candidate, compileSearch, looksAtHeader, type Matcher } from '../search/match.ts';
import type { Completion, Numbering, Session } from '../session.ts';

/** Messages that are decided from what the session knows, before others have their turn. */
const BATCH_MESSAGES = 1024;
/** Structures that are held at once. */
const BATCH_STRUCTURES = 64;

export async function search(
  session: Session,
  { charset, key }: SearchArguments,
  numbering: Numbering,
): Promise<Completion> {
  if (charset === undefined) throw refuse('BADCHARSET (US-ASCII UTF-8)', 'Unknown charset');
  const matcher = compileSearch(key, session.selected.view);
  if (matcher === 'no-such-number') {
    throw new ReplyError('BAD', undefined, 'No such message number');
  }
  const readHeaders = looksAtHeader(key);
  const found: Numbered[] = [];
  let undecided: Numbered[] = [];
  const decide = async (): Promise<void> => {
    found.push(...(await decideByReading(session, matcher, undecided, readHeaders)));
    undecided = [];
  };
  let looked = 0;
  for (const candidate of session.selected.view) {
    const verdict = matcher(candidate);
    // what is undecided goes before what comes after it, so that the answer is in order
    if (verdict === undefined) undecided.push(candidate);
    else if (verdict && undecided.length > 0) {
      await decide();
      found.push(candidate);
    } else if (verdict) found.push(candidate);
    if (undecided.length === BATCH_STRUCTURES) await decide();
    looked += 1;
    if (looked % BATCH_MESSAGES === 0) await othersTurn();
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
  matches: Matcher,
  undecided: readonly Numbered[],
  readHeaders: boolean,
): Promise<Numbered[]> {
  if (undecided.length === 0) return [];
  const { messages } = session.store;
  const mailboxId = session.selected.mailbox.id;
  const uids = undecided.map(({ message }) => message.uid);
  const structures = await messages.structures(mailboxId, uids);
  const found: Numbered[] = [];
  for (const numbered of undecided) {
    const { uid } = numbered.message;
    const structure = structures.get(uid);
    if (structure === undefined) continue;
    try {
      let candidate: Candidate = { ...numbered, structure };
      if (readHeaders) {
        const header = await messages.read(mailboxId, uid, 0, structure.root.bodyStart);
        candidate = { ...candidate, header };
      }
      let verdict = matches(candidate);
      if (verdict === undefined) {
        const raw = await messages.read(mailboxId, uid);
        verdict = matches({ ...candidate, header: raw, text: searchableText(raw, structure) });
        await othersTurn();
      }
      if (verdict) found.push(numbered);
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'no-such-message')) throw error;
    }
  }
  return found;
}
