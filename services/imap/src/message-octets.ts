/** One message of a mailbox, its octets by range: ranges in order read no chunk of the store twice. */
import { CHUNK_BYTES, type MailboxId, type MessageSummary, type Messages } from '@mail/store';

export class MessageOctets {
  readonly #messages: Messages;
  readonly #mailboxId: MailboxId;
  readonly #message: MessageSummary;
  /** The chunk that was read last. */
  #octets: Buffer = Buffer.alloc(0);
  #start = 0;

  constructor(messages: Messages, mailboxId: MailboxId, message: MessageSummary) {
    this.#messages = messages;
    this.#mailboxId = mailboxId;
    this.#message = message;
  }

  /** From `start` up to `end`, which lie in the message. Throws StoreError (no-such-message). */
  async read(start: number, end: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let at = start;
    while (at < end) {
      const chunkStart = at - (at % CHUNK_BYTES);
      const chunkEnd = chunkStart + CHUNK_BYTES;
      await this.#load(chunkStart, Math.min(chunkEnd, this.#message.size));
      pieces.push(this.#octets.subarray(at - chunkStart, end - chunkStart));
      at = chunkEnd;
    }
    const [only] = pieces;
    return only !== undefined && pieces.length === 1 ? only : Buffer.concat(pieces);
  }

  async #load(start: number, end: number): Promise<void> {
    if (this.#start === start && this.#octets.length > 0) return;
    const { uid } = this.#message;
    this.#octets = await this.#messages.read(this.#mailboxId, uid, start, end);
    this.#start = start;
  }
}
