/**
 * Takes in the text behind DATA: whole in memory, within the message's limit and the process's, or
 * refused. What is refused is still read to its end, which is where the reply belongs (RFC 5321 §4.2).
 */
import type { Readable } from 'node:stream';
import { type ContentFault, ContentScan } from './content-scan.ts';
import type { MemoryShare } from './message-memory.ts';
import { ReplyError } from './reply-error.ts';

const FAULTS: Record<ContentFault, string> = {
  'bare-lf': 'A line ends with LF alone; lines end with CR LF',
  'bare-cr': 'A CR stands alone; lines end with CR LF',
  nul: 'The message has a NUL octet',
};

/** Lines that do not end with CR LF: servers differ on where such a text ends. */
export class AmbiguousTextError extends ReplyError {
  constructor(fault: ContentFault) {
    super(554, '5.6.11', FAULTS[fault]);
    this.name = 'AmbiguousTextError';
  }
}

/** Resolves to the text, dots unstuffed; the memory stays taken. Throws ReplyError. */
export async function collectMessage(
  stream: Readable,
  maxBytes: number,
  memory: MemoryShare,
): Promise<Buffer[]> {
  const scan = new ContentScan();
  const chunks: Buffer[] = [];
  let size = 0;
  let refusal: ReplyError | undefined;
  const refuse = (error: ReplyError) => {
    refusal ??= error;
    // nobody waits for the text any more
    chunks.length = 0;
    memory.release();
  };
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      scan.push(chunk);
      if (refusal !== undefined) continue;
      if (size > maxBytes) refuse(tooLarge(maxBytes));
      else if (!memory.take(chunk.length)) {
        refuse(new ReplyError(452, '4.3.1', 'Too many messages are arriving, try again later'));
      } else chunks.push(chunk);
    }
  } catch (cause) {
    // nothing was taken over, and nobody is left to hear it (RFC 5321 §4.1.1.4)
    throw new ReplyError(451, '4.4.2', 'The connection was lost', { cause });
  }
  const fault = scan.finish();
  if (fault !== undefined) throw new AmbiguousTextError(fault);
  if (refusal !== undefined) throw refusal;
  return chunks;
}

function tooLarge(maxBytes: number): ReplyError {
  return new ReplyError(552, '5.3.4', `The message is larger than ${maxBytes} octets`);
}
