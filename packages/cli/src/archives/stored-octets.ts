/** Messages as they come out of the store: in pages, and each in pieces. */
import { type MailboxId, type MailStore, type MessageSummary, StoreError } from '@mail/store';
import { CrlfToLf } from './line-ends.ts';

const MESSAGES_PER_PAGE = 500;
const PIECE_BYTES = 1024 * 1024;

/** Those that were there at the call and still are, in order of UID; `after` leaves out those up to it. */
export async function* storedMessages(
  store: MailStore,
  mailboxId: MailboxId,
  after = 0,
): AsyncGenerator<MessageSummary> {
  const { uids } = await store.messages.open(mailboxId);
  for (let start = uids.countBelow(after + 1); start < uids.size; start += MESSAGES_PER_PAGE) {
    yield* await store.messages.summaries(mailboxId, uids.slice(start, start + MESSAGES_PER_PAGE));
  }
}

/** Whether a message was expunged by somebody meanwhile, and its octets are gone. */
export function isGone(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'no-such-message';
}

/**
 * Hands a message to `write`, with LF at the end of its lines; from its start once more, and with CRLF, where
 * the former could not be turned back. `restart` takes away what was written.
 */
export async function writeWithLf(
  pieces: () => AsyncIterable<Uint8Array>,
  write: (octets: Uint8Array) => Promise<void>,
  restart: () => Promise<void>,
): Promise<void> {
  const lineEnds = new CrlfToLf();
  for await (const piece of pieces()) {
    await write(lineEnds.convert(piece));
    if (lineEnds.ambiguous) break;
  }
  if (!lineEnds.ambiguous) return write(lineEnds.end());
  await restart();
  for await (const piece of pieces()) await write(piece);
}

export async function* storedPieces(
  store: MailStore,
  mailboxId: MailboxId,
  { uid, size }: MessageSummary,
): AsyncGenerator<Buffer> {
  for (let start = 0; start < size; start += PIECE_BYTES) {
    yield await store.messages.read(mailboxId, uid, start, start + PIECE_BYTES);
  }
}
