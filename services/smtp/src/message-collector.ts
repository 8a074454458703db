/**
 * Takes in the text behind DATA: whole in memory, within the message's limit and the process's, or
 * refused. What is refused is still read to its end, which is where the reply belongs (RFC 5321 §4.2).
 */
import type { Readable } from 'node:stream';
import type { MemoryShare } from '@mail/service';
import { type ContentFault, ContentScan } from './content-scan.ts';
import { ReplyError } from './reply-error.ts';
import { Slabs } from './slabs.ts';
import type { TransferWatch } from './transfer-watch.ts';

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
  watch: Pick<TransferWatch, 'arrived'>,
): Promise<Buffer[]> {
  const scan = new ContentScan();
  let size = 0;
  let text: Slabs | ReplyError = new Slabs(memory, maxBytes);
  const refuse = (error: ReplyError): ReplyError => {
    memory.release();
    return error;
  };
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      watch.arrived(chunk.length);
      scan.push(chunk);
      if (text instanceof ReplyError) continue;
      if (size > maxBytes) text = refuse(tooLarge(maxBytes));
      else if (!text.push(chunk)) text = refuse(tooMany());
    }
  } catch (cause) {
    // nothing was taken over, and nobody is left to hear it (RFC 5321 §4.1.1.4)
    throw new ReplyError(451, '4.4.2', 'The connection was lost', { cause });
  }
  const fault = scan.finish();
  if (fault !== undefined) throw new AmbiguousTextError(fault);
  if (text instanceof ReplyError) throw text;
  return text.pieces;
}

function tooMany(): ReplyError {
  return new ReplyError(452, '4.3.1', 'Too many messages are arriving, try again later');
}

function tooLarge(maxBytes: number): ReplyError {
  return new ReplyError(552, '5.3.4', `The message is larger than ${maxBytes} octets`);
}
