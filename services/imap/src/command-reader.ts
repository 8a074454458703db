/**
 * Gathers one whole command off the connection: its lines, and the literals between them, each measured
 * before it is accepted (RFC 3501 §4.3, §7.5; RFC 7888). Knows of the grammar only how a line announces
 * a literal, and APPEND by name, since its literal alone may be large.
 */
import type { Connection } from '@mail/line-server';
import { ReplyError, refuse, SessionEnd } from './errors.ts';
import type { LiteralBudget } from './literal-budget.ts';
import { type CommandText, type LiteralHead, literalHead } from './parser/lexer.ts';
import {
  MAX_LINE_OCTETS,
  MAX_LITERAL_OCTETS_BEFORE_LOGIN,
  MAX_LITERALS,
  MAX_SMALL_LITERAL_OCTETS,
} from './parser/limits.ts';
import type { ResponseWriter } from './response.ts';

export interface ReceivedCommand {
  readonly text: CommandText;
  /** Set where the command is to be refused unread: its literals were too large. */
  readonly refusal: ReplyError | undefined;
  /** Gives back the memory of the command's literals. Idempotent. */
  release(): void;
}

export interface ReaderLimits {
  /** Of the message that APPEND carries. */
  readonly maxMessageOctets: number;
  readonly budget: LiteralBudget;
}

/** How much of an unwanted non-synchronising literal is read only to be thrown away. */
const MAX_DISCARDED_OCTETS = 256 * 1024 * 1024;
const DISCARD_PIECE_OCTETS = 64 * 1024;
const APPEND = /^\S+ APPEND /i;

/** What the literals of one command may still measure, and the memory that they hold. */
class Allowance {
  readonly #limits: ReaderLimits;
  readonly #mayAppend: boolean;
  #small: number;
  #lineOctets = MAX_LINE_OCTETS;
  #literals = MAX_LITERALS;
  #release: (() => void) | undefined;

  constructor(limits: ReaderLimits, loggedIn: boolean) {
    this.#limits = limits;
    this.#mayAppend = loggedIn;
    this.#small = loggedIn ? MAX_SMALL_LITERAL_OCTETS : MAX_LITERAL_OCTETS_BEFORE_LOGIN;
  }

  /** Undefined where the literal that ends `line` may come; else why not. Waits for memory. */
  async refusal(verbLine: string, line: string, octets: number): Promise<ReplyError | undefined> {
    this.#lineOctets -= line.length;
    this.#literals -= 1;
    if (this.#lineOctets < 0 || this.#literals < 0) {
      return new ReplyError('BAD', 'LIMIT', 'Command too long');
    }
    if (octets <= this.#small) {
      this.#small -= octets;
      return undefined;
    }
    const isMessage = this.#mayAppend && this.#release === undefined && APPEND.test(verbLine);
    if (!isMessage) return refuse('LIMIT', 'Literal too large');
    if (octets > this.#limits.maxMessageOctets) return refuse('TOOBIG', 'Message too large');
    try {
      this.#release = await this.#limits.budget.reserve(octets);
      return undefined;
    } catch (error) {
      if (error instanceof ReplyError) return error;
      throw error;
    }
  }

  release(): void {
    this.#release?.();
  }
}

export class CommandReader {
  readonly #connection: Connection;
  readonly #response: ResponseWriter;
  readonly #limits: ReaderLimits;

  constructor(connection: Connection, response: ResponseWriter, limits: ReaderLimits) {
    this.#connection = connection;
    this.#response = response;
    this.#limits = limits;
  }

  /**
   * The next command; undefined when the client has ended. Rejects as Connection.readLine, and with
   * SessionEnd for a literal beyond all measure.
   */
  async next(loggedIn: boolean): Promise<ReceivedCommand | undefined> {
    const allowance = new Allowance(this.#limits, loggedIn);
    const release = () => allowance.release();
    try {
      const received = await this.#gather(allowance);
      if (received === undefined) release();
      return received && { ...received, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #gather(allowance: Allowance): Promise<Omit<ReceivedCommand, 'release'> | undefined> {
    const lines: string[] = [];
    const literals: Buffer[] = [];
    const text: CommandText = { lines, literals };
    for (;;) {
      const line = await this.#line();
      if (line === undefined) return undefined;
      lines.push(line);
      const head = literalHead(line);
      if (head === undefined) return { text, refusal: undefined };
      const refusal = await allowance.refusal(lines[0] ?? '', line, head.octets);
      if (refusal !== undefined) {
        await this.#skip(head);
        return { text, refusal };
      }
      if (head.synchronising) await this.#response.goAhead('Ready for the literal');
      literals.push(await this.#connection.readLiteral(head.octets));
    }
  }

  async #line(): Promise<string | undefined> {
    return (await this.#connection.readLine())?.toString('latin1');
  }

  /**
   * Reads past the rest of a refused command. A client that waits for a go-ahead hears the refusal
   * instead, and its command ends there (RFC 3501 §7.5); one that does not wait sends all of it.
   */
  async #skip(refused: LiteralHead): Promise<void> {
    let head: LiteralHead | undefined = refused;
    while (head !== undefined && !head.synchronising) {
      await this.#discard(head.octets);
      const line = await this.#line();
      head = line === undefined ? undefined : literalHead(line);
    }
  }

  /** Reads past a literal that the client sends without asking. */
  async #discard(octets: number): Promise<void> {
    if (octets > MAX_DISCARDED_OCTETS) throw new SessionEnd('[TOOBIG] Literal too large');
    for (let left = octets; left > 0; left -= DISCARD_PIECE_OCTETS) {
      await this.#connection.readLiteral(Math.min(left, DISCARD_PIECE_OCTETS));
    }
  }
}
