/**
 * Logs: one JSON object a line on standard output, by pino. Secrets are never handed to a logger. What
 * strangers send may reach a line: it is cut to a bounded length, and nothing of it acts on a terminal.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type Logger, pino } from 'pino';

export type { Logger };

export interface LoggerOptions {
  readonly service: string;
  readonly instance: string;
  /** Which of the workers that share the ports; undefined where there is one process. */
  readonly worker?: number | undefined;
  readonly level: string;
  /** Told of each line at warn or above. */
  readonly onTrouble?: (level: string) => void;
}

/** What lines of one session or call have in common: `session`, `request` and the like. */
export type LogFields = Record<string, string | number | undefined>;

/** Characters of one text in a line; stacks are the longest of our own. */
const MAX_TEXT_LENGTH = 4_000;
/** How deep fields of fields are looked into; deeper ones are of our own making. */
const MAX_DEPTH = 3;

/**
 * JSON escapes controls below U+0020. These act as well: DEL and C1 on terminals, line and paragraph
 * separators on what splits lines, marks of direction on whoever reads.
 */
const ACTING = /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** pino's number of that level. */
const WARN = 40;

const fields = new AsyncLocalStorage<LogFields>();

/**
 * Runs `work`; every line that is logged in it, and in whatever it awaits, carries `common` besides. The
 * object may grow meanwhile: later lines have what was added.
 */
export function withLogFields<T>(common: LogFields, work: () => T): T {
  return fields.run(common, work);
}

/** The process's logger. Fields that could hold a secret are cut even where a caller slips. */
export function createLogger(options: LoggerOptions): Logger {
  const { service, instance, worker, onTrouble } = options;
  return pino({
    level: options.level,
    base: { service, instance, ...(worker !== undefined && { worker }), pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    // the line's own fields win
    mixin: () => ({ ...fields.getStore() }),
    formatters: {
      level: (label) => ({ level: label }),
      log: (object) => bounded(object, MAX_DEPTH) as Record<string, unknown>,
    },
    hooks: {
      logMethod(args, method, level) {
        if (level >= WARN) onTrouble?.(pino.levels.labels[level] ?? 'error');
        method.apply(this, args);
      },
      streamWrite: (line) => line.replace(ACTING, escapeCharacter),
    },
    redact: {
      paths: [
        'password',
        'passphrase',
        'privateKey',
        'privateKeyPem',
        'ticketSeed',
        'token',
        '*.password',
        '*.privateKeyPem',
        '*.ticketSeed',
      ],
      censor: '[redacted]',
    },
    serializers: { error: (error) => bounded(pino.stdSerializers.errWithCause(error), MAX_DEPTH) },
  });
}

/** For tests and for the command: says nothing. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

/** The value with long texts cut. What is no plain object stays as it is. */
function bounded(value: unknown, depth: number): unknown {
  if (typeof value === 'string') {
    return value.length > MAX_TEXT_LENGTH ? `${value.slice(0, MAX_TEXT_LENGTH)}…` : value;
  }
  if (depth === 0 || typeof value !== 'object' || value === null || value instanceof Error) {
    return value;
  }
  if (Array.isArray(value)) return value.map((item) => bounded(item, depth - 1));
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && depth < MAX_DEPTH) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, bounded(item, depth - 1)]),
  );
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
