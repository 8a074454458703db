/** Reads an mbox file message by message, in the memory that one message takes. */
import { CollectedMessage } from './collected-message.ts';
import { isFromLine, unquoteFrom } from './from-lines.ts';
import { readHeader } from './mbox-headers.ts';

const LF = 0x0a;
/** A longer line comes in parts, of which only the first can begin a message. */
const MAX_LINE_BYTES = 64 * 1024;
/** Header lines held until the header is over; what goes on is taken for the text. */
const MAX_HEADER_LINES = 10_000;

export interface ArchivedMessage {
  readonly content: CollectedMessage;
  readonly flags: readonly string[];
  readonly internalDate: Date | undefined;
  /** Octets of the file, or files, up to its end. */
  readonly sourceOctets: number;
  /** Where it lies, for the operator. */
  readonly where: string;
}

interface LinePart {
  readonly octets: Buffer;
  /** Whether a line begins with it. */
  readonly begins: boolean;
}

/** Nothing is kept but the line that is not over. */
async function* lineParts(chunks: AsyncIterable<Buffer>): AsyncGenerator<LinePart> {
  let rest: Buffer = Buffer.alloc(0);
  let begins = true;
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = rest.indexOf(LF); end !== -1; end = rest.indexOf(LF, start)) {
      yield { octets: rest.subarray(start, end + 1), begins };
      begins = true;
      start = end + 1;
    }
    rest = rest.subarray(start);
    if (rest.length > MAX_LINE_BYTES) {
      yield { octets: rest, begins };
      begins = false;
      rest = Buffer.alloc(0);
    }
  }
  if (rest.length > 0) yield { octets: rest, begins };
}

function isEmptyLine(line: Buffer): boolean {
  return line.length <= 2 && /^\r?\n?$/.test(line.toString('latin1'));
}

class MessageInProgress {
  readonly #fromLine: string;
  readonly #content = new CollectedMessage();
  #header: Buffer[] | undefined = [];
  #flags: readonly string[] = [];
  #internalDate: Date | undefined;

  constructor(fromLine: Buffer) {
    this.#fromLine = fromLine.toString('latin1').trim();
  }

  add({ octets, begins }: LinePart): void {
    const line = begins ? unquoteFrom(octets) : octets;
    if (this.#header === undefined) this.#content.add(line);
    else {
      this.#header.push(Buffer.from(line));
      const over = begins && isEmptyLine(line);
      if (over || this.#header.length === MAX_HEADER_LINES) this.#endHeader(this.#header);
    }
  }

  end(where: string, sourceOctets: number): ArchivedMessage {
    if (this.#header !== undefined) this.#endHeader(this.#header);
    return {
      content: this.#content,
      flags: this.#flags,
      internalDate: this.#internalDate,
      sourceOctets,
      where,
    };
  }

  #endHeader(header: readonly Buffer[]): void {
    this.#header = undefined;
    const { lines, flags, internalDate } = readHeader(this.#fromLine, header);
    this.#flags = flags;
    this.#internalDate = internalDate;
    for (const line of lines) this.#content.add(line);
  }
}

/** Yields nothing for a file that is no mbox and is not empty: `notMbox` is called then. */
export async function* readMbox(
  chunks: AsyncIterable<Buffer>,
  notMbox: () => void,
): AsyncGenerator<ArchivedMessage> {
  let message: MessageInProgress | undefined;
  /** An empty line belongs to the message unless another message or the end comes behind it. */
  let empty: LinePart | undefined;
  let position = 0;
  let count = 0;
  let afterEmpty = true;
  for await (const part of lineParts(chunks)) {
    if (part.begins && afterEmpty && isFromLine(part.octets)) {
      if (message !== undefined) yield message.end(`message ${count}`, position);
      count += 1;
      message = new MessageInProgress(part.octets);
      empty = undefined;
      afterEmpty = false;
      position += part.octets.length;
      continue;
    }
    position += part.octets.length;
    if (message === undefined) {
      // some have empty lines on top
      if (part.begins && isEmptyLine(part.octets)) continue;
      return notMbox();
    }
    if (empty !== undefined) message.add(empty);
    empty = undefined;
    afterEmpty = part.begins && isEmptyLine(part.octets);
    if (afterEmpty) empty = { octets: Buffer.from(part.octets), begins: true };
    else message.add(part);
  }
  if (message !== undefined) yield message.end(`message ${count}`, position);
}
