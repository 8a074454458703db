/**
 * Gathers one whole command off the connection: its lines, and the literals between them, each measured
 * before it is accepted (RFC 3501 §4.3, §7.5; RFC 7888). Knows of the grammar only how a line announces
 * a literal, and APPEND by name, since its literal alone may be large.
 */
import type { Connection } from '@mail/line-server';
import { ReplyError, refuse, SessionEnd } from './errors.ts';
import type { LiteralBudget } from './literal-budget.ts';
import { type CommandText, literalHead } from './parser/lexer.ts';
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
    const lines: string[] = [];
    const literals: Buffer[] = [];
    let small = loggedIn ? MAX_SMALL_LITERAL_OCTETS : MAX_LITERAL_OCTETS_BEFORE_LOGIN;
    let room = MAX_LINE_OCTETS;
    let release = () => {};
    let refusal: ReplyError | undefined;
    try {
      for (;;) {
        const octets = await this.#connection.readLine();
        if (octets === undefined) break;
        const line = octets.toString('latin1');
        room -= line.length;
        const head = literalHead(line);
        if (refusal === undefined) lines.push(line);
        if (head === undefined) return { text: { lines, literals }, refusal, release };
        const isMessage =
          loggedIn && head.octets > small && APPEND.test(lines[0] ?? '') && !literals.some(isLarge);
        if (refusal === undefined) {
          if (room < 0 || literals.length === MAX_LITERALS) {
            refusal = new ReplyError('BAD', 'LIMIT', 'Command too long');
          } else if (head.octets > (isMessage ? this.#limits.maxMessageOctets : small)) {
            const code = APPEND.test(lines[0] ?? '') ? 'TOOBIG' : 'LIMIT';
            refusal = refuse(code, 'Literal too large');
          } else if (isMessage) {
            try {
              release = await this.#limits.budget.reserve(head.octets);
            } catch (error) {
              if (!(error instanceof ReplyError)) throw error;
              refusal = error;
            }
          } else {
            small -= head.octets;
          }
        }
        if (refusal !== undefined) {
          // a client that waits for the go-ahead hears no instead, and the command ends here
          if (head.synchronising) return { text: { lines, literals }, refusal, release };
          await this.#discard(head.octets);
        } else {
          if (head.synchronising) await this.#response.goAhead('Ready for the literal');
          literals.push(await this.#connection.readLiteral(head.octets));
        }
      }
      release();
      return undefined;
    } catch (error) {
      release();
      throw error;
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

const isLarge = (literal: Buffer): boolean => literal.length > MAX_SMALL_LITERAL_OCTETS;
