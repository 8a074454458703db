/** THREAD and UID THREAD (RFC 5256 §3). */
import {
  baseSubject,
  headerTexts,
  messageIds,
  readReferences,
  searchedPieces,
} from '@mail/message';
import { collationKey } from '../casemap.ts';
import type { Numbered } from '../mailbox-view.ts';
import { MessageOctets } from '../message-octets.ts';
import type { ThreadArguments } from '../parser/sort.ts';
import type { Completion, Numbering, Session } from '../session.ts';
import { sentAt } from '../sort/keys.ts';
import { eachStructure, type Structured } from '../structures.ts';
import { threadBySubject } from '../threads/ordered-subject.ts';
import { ReferenceThreads } from '../threads/references.ts';
import { renderThread, type Thread, type ThreadedMessage } from '../threads/thread.ts';
import { Turns } from '../turns.ts';
import { compile, findAll } from './search.ts';

/** Comparisons, links and the like before others have their turn. */
const TURN_STEPS = 10_000;

export async function thread(
  session: Session,
  parsed: ThreadArguments,
  numbering: Numbering,
): Promise<Completion> {
  const compiled = compile(session, parsed);
  const found = await findAll(session, compiled);
  if (compiled.looksAtModSeq) session.enableCondStore();
  const threadsOf = parsed.algorithm === 'REFERENCES' ? byReferences : bySubject;
  const threads = await threadsOf(session, found, numbering);
  const { response } = session;
  response.raw(threads.length === 0 ? '* THREAD' : '* THREAD ');
  for (const one of threads) {
    for (const piece of renderThread(one)) {
      response.raw(piece);
      const { room } = response;
      if (room !== undefined) await room;
    }
  }
  response.raw('\r\n');
  return { text: 'THREAD completed' };
}

function threaded(
  { sequence, message, structure: { envelope } }: Structured,
  numbering: Numbering,
): ThreadedMessage {
  const { text, isReply } = baseSubject(envelope.subject);
  return {
    number: numbering === 'uid' ? message.uid : sequence,
    sequence,
    sentAt: sentAt(message, envelope),
    subject: collationKey(text),
    isReply,
  };
}

async function bySubject(
  session: Session,
  found: readonly Numbered[],
  numbering: Numbering,
): Promise<Thread[]> {
  const messages: ThreadedMessage[] = [];
  for await (const one of eachStructure(session, found)) messages.push(threaded(one, numbering));
  return threadBySubject(messages, new Turns(TURN_STEPS));
}

async function byReferences(
  session: Session,
  found: readonly Numbered[],
  numbering: Numbering,
): Promise<Thread[]> {
  const threads = new ReferenceThreads(new Turns(TURN_STEPS));
  for await (const one of eachStructure(session, found)) {
    const [id] = messageIds(one.structure.envelope.messageId ?? '');
    await threads.add(threaded(one, numbering), id, await referencesOf(session, one));
  }
  return threads.finish();
}

/** Of messages that were stored before references were, they are read from the header. */
async function referencesOf(
  { store, selected }: Session,
  { message, structure }: Structured,
): Promise<readonly string[]> {
  if (structure.references !== undefined) return structure.references;
  const [header] = searchedPieces(structure);
  if (header === undefined) return [];
  const octets = new MessageOctets(store.messages, selected.mailbox.id, message);
  return readReferences(headerTexts(await octets.read(header.start, header.end)));
}
