/**
 * Gathers one whole command off the connection: its lines, and the literals between them, each measured
 * before it is accepted (RFC 3501 §4.3, §7.5; RFC 7888). Knows of the grammar only how a line announces
 * a literal, and which ones are messages to be stored: those alone may be large. They take their memory as
 * they come, and are made ready for the store.
 */
import type { Connection } from '@mail/line-server';
import type { MemoryBudget, MemoryShare } from '@mail/service';
import { MAX_ANNOTATION_OCTETS } from '@mail/store';
import type { Coming } from './append-room.ts';
import { encodeBinary, isStorable } from './binary-message.ts';
import { ReplyError, refuse, SessionEnd } from './errors.ts';
import { LineEnds } from './line-ends.ts';
import { type CommandText, type LiteralHead, literalHead } from './parser/lexer.ts';
import {
  MAX_LINE_OCTETS,
  MAX_LITERAL_OCTETS_BEFORE_LOGIN,
  MAX_LITERALS,
  MAX_LITERALS_BEFORE_LOGIN,
  MAX_SMALL_LITERAL_OCTETS,
} from './parser/limits.ts';
import type { ResponseWriter } from './response.ts';

export interface ReceivedCommand {
  readonly text: CommandText;
  /** Set where the command is to be refused unread: its literals were too large, or found no room. */
  readonly refusal: ReplyError | undefined;
  /** Gives back the memory of the command's literals. Idempotent. */
  release(): void;
}

export interface ReaderLimits {
  /** Of each message that APPEND carries, as it is stored. */
  readonly maxMessageOctets: number;
  /** For those messages, over all connections of the process. */
  readonly budget: MemoryBudget;
}

/** How much of an unwanted non-synchronising literal is read only to be thrown away. */
const MAX_DISCARDED_OCTETS = 256 * 1024 * 1024;
const DISCARD_PIECE_OCTETS = 64 * 1024;
const APPEND = /^\S+ (?:APPEND|(?:UID )?REPLACE \S+) /i;
const SETMETADATA = /^\S+ SETMETADATA /i;
const APPEND_TO_LITERAL = /^\S+ (?:APPEND|(?:UID )?REPLACE \S+) \{\d+\+?\}$/i;

/** Whether the literal that the last line announces is a message, of APPEND or REPLACE; the first may name the mailbox. */
function announcesMessage(lines: readonly string[]): boolean {
  const first = lines[0] ?? '';
  return APPEND.test(first) && lines.length >= (APPEND_TO_LITERAL.test(first) ? 2 : 1);
}

const APPEND_ALONE = /^\S+ APPEND /i;

const overQuota = () => refuse('OVERQUOTA', 'The account has no room for that');
const tooBig = () => refuse('TOOBIG', 'Message too large');
const valueTooBig = () => refuse(`METADATA MAXSIZE ${MAX_ANNOTATION_OCTETS}`, 'Value too large');
const noRoom = () => refuse('UNAVAILABLE', 'Too many messages are arriving, try again later');

/** What the literals of one command may still measure, and the memory that its message holds. */
class Allowance {
  readonly #limits: ReaderLimits;
  readonly #share: MemoryShare | undefined;
  #small: number;
  #lineOctets = MAX_LINE_OCTETS;
  #literals: number;
  /** Read past once the command is refused. */
  #skips: number;
  /** Of the message that comes. */
  #messageOctets: number;

  constructor(limits: ReaderLimits, holder: string | undefined) {
    this.#limits = limits;
    this.#share = holder === undefined ? undefined : limits.budget.share(holder);
    this.#small = holder === undefined ? MAX_LITERAL_OCTETS_BEFORE_LOGIN : MAX_SMALL_LITERAL_OCTETS;
    this.#literals = holder === undefined ? MAX_LITERALS_BEFORE_LOGIN : MAX_LITERALS;
    this.#skips = this.#literals;
    this.#messageOctets = limits.maxMessageOctets;
  }

  /** Undefined where the literal that ends `line` may come; else why not. */
  refusal(
    line: string,
    octets: number,
    isMessage: boolean,
    isValue: boolean,
  ): ReplyError | undefined {
    this.#lineOctets -= line.length;
    this.#literals -= 1;
    if (this.#lineOctets < 0 || this.#literals < 0) {
      return new ReplyError('BAD', 'LIMIT', 'Command too long');
    }
    if (isMessage) {
      this.#messageOctets = this.#limits.maxMessageOctets;
      if (octets > this.#messageOctets) return tooBig();
      // no need to hear all of what there is no room for
      return octets > this.#limits.budget.free ? noRoom() : undefined;
    }
    if (octets > this.#small) {
      const isTooLarge = isValue && octets > MAX_ANNOTATION_OCTETS;
      return isTooLarge ? valueTooBig() : refuse('LIMIT', 'Literal too large');
    }
    this.#small -= octets;
    return undefined;
  }

  /** Counts a literal of a command that is refused. Throws SessionEnd: it need not ever end. */
  skip(): void {
    this.#skips -= 1;
    if (this.#skips < 0) throw new SessionEnd('[LIMIT] Too many literals');
  }

  /** Counts a piece of the message; where it may not be held, gives back all and says why. */
  hold(octets: number): ReplyError | undefined {
    this.#messageOctets -= octets;
    const held = this.#messageOctets >= 0 && this.#share?.take(octets) === true;
    if (held) return undefined;
    this.release();
    return this.#messageOctets < 0 ? tooBig() : noRoom();
  }

  /** Counts what stands beside the pieces of a message while it is made anew, piece by piece. */
  holdAside(octets: number): ReplyError | undefined {
    this.#messageOctets = this.#limits.maxMessageOctets;
    if (this.#share?.take(octets) === true) return undefined;
    this.release();
    return noRoom();
  }

  release(): void {
    this.#share?.release();
  }
}

async function* mendLineEnds(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  const lineEnds = new LineEnds();
  for await (const piece of pieces) yield lineEnds.mend(piece);
}

/** Reads `pieces` to their end and keeps them, unless they are refused on the way. */
async function holdPieces(
  pieces: AsyncIterable<Buffer>,
  allowance: Allowance,
): Promise<Buffer[] | ReplyError> {
  let held: Buffer[] = [];
  let refusal: ReplyError | undefined;
  try {
    for await (const piece of pieces) {
      if (refusal !== undefined) continue;
      refusal = allowance.hold(piece.length);
      if (refusal === undefined) held.push(piece);
      else held = [];
    }
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error;
    allowance.release();
    refusal = error;
  }
  return refusal ?? held;
}

type Wire = Pick<Connection, 'readLine' | 'readLiteral' | 'literalPieces'>;

export class CommandReader {
  readonly #connection: Wire;
  readonly #response: Pick<ResponseWriter, 'goAhead'>;
  readonly #limits: ReaderLimits;
  readonly #hasRoom: (coming: Coming, begun: CommandText) => Promise<boolean>;

  /** `hasRoom` is asked of the messages of a client that is logged in, those of one command together; `begun` is what of that has come. */
  constructor(
    connection: Wire,
    response: Pick<ResponseWriter, 'goAhead'>,
    limits: ReaderLimits,
    hasRoom: (coming: Coming, begun: CommandText) => Promise<boolean>,
  ) {
    this.#connection = connection;
    this.#response = response;
    this.#limits = limits;
    this.#hasRoom = hasRoom;
  }

  /**
   * The next command; undefined when the client has ended. `holder` is the party whose share of the
   * memory a message takes, undefined before login; `firstLine` reads the first line in the place of
   * readLine, where something else is done meanwhile. Rejects as Connection.readLine, and with SessionEnd
   * for a literal, or a number of them, beyond all measure.
   */
  async next(
    holder: string | undefined,
    firstLine?: () => Promise<Buffer | undefined>,
  ): Promise<ReceivedCommand | undefined> {
    const allowance = new Allowance(this.#limits, holder);
    const release = () => allowance.release();
    try {
      const received = await this.#gather(allowance, holder !== undefined, firstLine);
      if (received === undefined) release();
      return received && { ...received, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #gather(
    allowance: Allowance,
    mayAppend: boolean,
    firstLine: (() => Promise<Buffer | undefined>) | undefined,
  ): Promise<Omit<ReceivedCommand, 'release'> | undefined> {
    const lines: string[] = [];
    const literals: (readonly Buffer[])[] = [];
    const text: CommandText = { lines, literals };
    const coming = { octets: 0, messages: 0 };
    for (;;) {
      const line = await this.#line(lines.length === 0 ? firstLine : undefined);
      if (line === undefined) return undefined;
      lines.push(line);
      const head = literalHead(line);
      if (head === undefined) return { text, refusal: undefined };
      const isMessage = mayAppend && announcesMessage(lines);
      const isValue = SETMETADATA.test(lines[0] ?? '');
      if (isMessage) {
        coming.octets += head.octets;
        coming.messages += 1;
      }
      const refusal =
        allowance.refusal(line, head.octets, isMessage, isValue) ??
        (await this.#refusalOf(coming, text));
      if (refusal !== undefined) {
        await this.#skip(head, allowance);
        return { text, refusal };
      }
      if (head.synchronising) await this.#response.goAhead('Ready for the literal');
      if (!isMessage) {
        literals.push([await this.#connection.readLiteral(head.octets)]);
        continue;
      }
      const message = await this.#readMessage(head, allowance);
      if (message instanceof ReplyError) {
        await this.#skip(await this.#nextHead(), allowance);
        return { text, refusal: message };
      }
      literals.push(message);
    }
  }

  /** Small ones are heard and refused where they are kept; of REPLACE that alone knows what grows. */
  async #refusalOf(coming: Coming, begun: CommandText): Promise<ReplyError | undefined> {
    if (coming.octets <= MAX_SMALL_LITERAL_OCTETS) return;
    if (!APPEND_ALONE.test(begun.lines[0] ?? '')) return;
    return (await this.#hasRoom(coming, begun)) ? undefined : overQuota();
  }

  /** As it is to be stored. What is refused on the way is read to its end all the same: it comes anyway. */
  async #readMessage(
    { octets, binary }: LiteralHead,
    allowance: Allowance,
  ): Promise<readonly Buffer[] | ReplyError> {
    const literal = this.#connection.literalPieces(octets);
    if (!binary) return await holdPieces(mendLineEnds(literal), allowance);
    const pieces = await holdPieces(literal, allowance);
    if (pieces instanceof ReplyError || isStorable(pieces)) return pieces;
    const refusal = allowance.holdAside(octets);
    return refusal ?? (await holdPieces(encodeBinary(Buffer.concat(pieces)), allowance));
  }

  async #line(read = () => this.#connection.readLine()): Promise<string | undefined> {
    return (await read())?.toString('latin1');
  }

  /**
   * Reads past the rest of a refused command. A client that waits for a go-ahead hears the refusal
   * instead, and its command ends there (RFC 3501 §7.5); one that does not wait sends all of it.
   */
  async #skip(refused: LiteralHead | undefined, allowance: Allowance): Promise<void> {
    let head = refused;
    while (head !== undefined && !head.synchronising) {
      allowance.skip();
      await this.#discard(head.octets);
      head = await this.#nextHead();
    }
  }

  async #nextHead(): Promise<LiteralHead | undefined> {
    const line = await this.#line();
    return line === undefined ? undefined : literalHead(line);
  }

  /** Reads past a literal that the client sends without asking. */
  async #discard(octets: number): Promise<void> {
    if (octets > MAX_DISCARDED_OCTETS) throw new SessionEnd('[TOOBIG] Literal too large');
    for (let left = octets; left > 0; left -= DISCARD_PIECE_OCTETS) {
      await this.#connection.readLiteral(Math.min(left, DISCARD_PIECE_OCTETS));
    }
  }
}
