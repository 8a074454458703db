/**
 * Looks at the warnings that stand, and sends what is news by each channel. A channel keeps its own board,
 * moved on only by what it has sent: one that fails loses nothing and holds back no other.
 */
import type { Logger } from '@mail/service';
import { z } from 'zod';
import { WARNING_CODES, type Warning } from '../warnings.ts';
import type { Channel } from './channel.ts';
import { afterTelling, type NoticeRules, newsOf, observe, type Standing } from './notice-board.ts';

export interface NotifierOptions {
  readonly channels: readonly Channel[];
  readonly warnings: () => readonly Warning[];
  /** What outlives a restart: text under a name. */
  readonly memory: {
    read(name: string): string | undefined;
    write(name: string, value: string): void;
  };
  readonly rules: NoticeRules;
  readonly logger: Logger;
  /** Wall clock in milliseconds. */
  readonly now: () => number;
}

/** The longest between two looks. */
const LOOK_MS = 10_000;
/** Between tries of a channel that fails, doubled up to the second. */
const RETRY_MS = { least: 30_000, most: 1_800_000 };

export class Notifier {
  readonly #desks: readonly Desk[];
  readonly #options: NotifierOptions;
  readonly #abort = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#desks = options.channels.map((channel) => new Desk(channel, options));
  }

  /** Channels that fail, as a warning of its own: whoever looks at the fleet learns of it. */
  get warnings(): Warning[] {
    return this.#desks.flatMap((desk) => desk.warnings);
  }

  start(): void {
    if (this.#desks.length === 0) return;
    const look = () => {
      const warnings = this.#options.warnings();
      for (const desk of this.#desks) desk.look(warnings, this.#abort.signal);
    };
    look();
    this.#timer = setInterval(look, Math.min(LOOK_MS, this.#options.rules.settleMs));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#abort.abort();
    for (const channel of this.#options.channels) channel.close();
  }
}

/** One channel with what it has told. */
class Desk {
  readonly #channel: Channel;
  readonly #options: NotifierOptions;
  #board: readonly Standing[];
  #sending = false;
  #failures = 0;
  #failure = '';
  #nextTryAt = 0;

  constructor(channel: Channel, options: NotifierOptions) {
    this.#channel = channel;
    this.#options = options;
    // at a start nothing is known to be over: the fleet has yet to come, and sources have yet to look
    this.#board = readBoard(options.memory.read(this.#name), options.now());
  }

  get warnings(): Warning[] {
    if (this.#failures === 0) return [];
    const { name: subject } = this.#channel;
    const message = `warnings by ${subject} cannot be sent: ${this.#failure}`;
    return [{ code: 'notification-failed', subject, level: 1, message }];
  }

  look(warnings: readonly Warning[], signal: AbortSignal): void {
    const { rules } = this.#options;
    const now = this.#options.now();
    this.#board = observe(this.#board, warnings, now, rules);
    if (!this.#sending && now >= this.#nextTryAt) void this.#send(now, signal);
  }

  /** Never rejects. `now` is when the board was looked at. */
  async #send(now: number, signal: AbortSignal): Promise<void> {
    const { rules, logger } = this.#options;
    const notices = newsOf(this.#board, now, rules);
    if (notices.length === 0) return;
    this.#sending = true;
    try {
      await this.#channel.send(notices, signal);
      if (signal.aborted) return;
      this.#board = afterTelling(this.#board, notices, now);
      this.#failures = 0;
      this.#nextTryAt = 0;
      this.#remember();
    } catch (error) {
      if (signal.aborted) return;
      this.#failure = reasonOf(error);
      const waitMs = Math.min(RETRY_MS.least * 2 ** this.#failures, RETRY_MS.most);
      this.#nextTryAt = this.#options.now() + waitMs;
      this.#failures += 1;
      const { name: channel } = this.#channel;
      logger.warn({ channel, reason: this.#failure }, 'warnings could not be sent');
    } finally {
      this.#sending = false;
    }
  }

  /** What cannot be written down is told again after a restart, and no more than that. */
  #remember(): void {
    const { memory, logger } = this.#options;
    try {
      memory.write(this.#name, JSON.stringify(this.#board));
    } catch (error) {
      const { name: channel } = this.#channel;
      logger.warn({ channel, error }, 'what was told of warnings could not be kept');
    }
  }

  get #name(): string {
    return `notices/${this.#channel.name}`;
  }
}

/** fetch says what went wrong in the cause alone. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message.slice(0, 200);
}

const boardSchema = z.array(
  z.object({
    warning: z.object({
      code: z.enum(WARNING_CODES),
      subject: z.string(),
      level: z.number(),
      message: z.string(),
    }),
    since: z.number(),
    seenAt: z.number(),
    told: z.object({ at: z.number(), level: z.number() }).optional(),
  }),
);

/** A board that can't be read is no board: everything is news again. */
function readBoard(text: string | undefined, now: number): Standing[] {
  if (text === undefined) return [];
  const read = boardSchema.safeParse(JSON.parse(text));
  if (!read.success) return [];
  return read.data.map(({ told, ...standing }) => ({
    ...standing,
    seenAt: now,
    ...(told === undefined ? {} : { told }),
  }));
}
