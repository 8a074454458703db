/** SORT and UID SORT (RFC 5256 §3), with the keys of RFC 5957 and the RETURN options of RFC 5267 §3. */
import type { Numbered } from '../mailbox-view.ts';
import type { SortArguments, SortCriterion } from '../parser/sort.ts';
import type { Completion, Numbering, Session } from '../session.ts';
import { sortInTurns } from '../sort/in-turns.ts';
import { comparison, needsEnvelope, type Sortable, sortValues } from '../sort/keys.ts';
import { eachStructure } from '../structures.ts';
import { eachSummary } from '../summaries.ts';
import { Turns } from '../turns.ts';
import { compile, findAll, modSeqsOf, tellFound } from './search.ts';

/** Comparisons before others have their turn. */
const TURN_COMPARISONS = 10_000;

export async function sort(
  session: Session,
  parsed: SortArguments,
  numbering: Numbering,
): Promise<Completion> {
  const compiled = compile(session, parsed);
  const found = await findAll(session, compiled);
  const sorted = await sortFound(session, found, parsed.criteria);
  const modSeqs = compiled.looksAtModSeq ? modSeqsOf(found) : undefined;
  tellFound(session, sorted, { ...parsed, numbering, modSeqs, word: 'SORT' });
  return { text: 'SORT completed' };
}

async function sortFound(
  session: Session,
  found: readonly Numbered[],
  criteria: readonly SortCriterion[],
): Promise<Numbered[]> {
  const sortables: (Numbered & Sortable)[] = [];
  if (needsEnvelope(criteria)) {
    for await (const { sequence, uid, message, structure } of eachStructure(session, found)) {
      sortables.push({ sequence, uid, values: sortValues(criteria, message, structure.envelope) });
    }
  } else {
    for await (const { sequence, uid, message } of eachSummary(session, found)) {
      sortables.push({ sequence, uid, values: sortValues(criteria, message, undefined) });
    }
  }
  return sortInTurns(sortables, comparison(criteria), new Turns(TURN_COMPARISONS));
}
