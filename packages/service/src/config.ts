/**
 * Settings: the only place that reads the environment. A setting has one name everywhere
 * (`CONCERT_...`), whether it comes from the environment or from the file that CONCERT_CONFIG names
 * (dotenv syntax); the environment wins. `NAME_FILE` reads a value from a file, as container secrets
 * want it.
 */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { ServiceError } from './errors.ts';

export type Settings = Readonly<Record<string, string>>;

const MAX_SETTINGS_FILE_BYTES = 1024 * 1024;

function readSmallFile(path: string, why: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new ServiceError('bad-setting', `${why}: cannot read ${path} (${code})`, {
      cause: error,
    });
  }
  if (text.length > MAX_SETTINGS_FILE_BYTES) {
    throw new ServiceError('bad-setting', `${why}: ${path} is larger than 1 MiB`);
  }
  return text;
}

/** Every `CONCERT_...` setting of this process. Throws ServiceError (bad-setting). */
export function readSettings(environment: NodeJS.ProcessEnv = process.env): Settings {
  const settings: Record<string, string> = {};
  const file = environment['CONCERT_CONFIG'];
  const fromFile = file ? parseEnv(readSmallFile(file, 'CONCERT_CONFIG')) : {};
  for (const [name, value] of Object.entries({ ...fromFile, ...environment })) {
    if (name.startsWith('CONCERT_') && value !== undefined) settings[name] = value;
  }
  for (const [name, path] of Object.entries(settings)) {
    const plain = name.replace(/_FILE$/, '');
    // empty where a template has nothing to put there
    if (plain === name || plain in settings || path === '') continue;
    settings[plain] = readSmallFile(path, name).replace(/\r?\n$/, '');
  }
  return settings;
}

/** What other programs that Concert runs get to see: without its settings, which hold secrets. */
export function environmentForPrograms(
  environment: NodeJS.ProcessEnv = process.env,
): Record<string, string | undefined> {
  const others = Object.entries(environment).filter(([name]) => !name.startsWith('CONCERT_'));
  return Object.fromEntries(others);
}

/**
 * Checks settings against a schema whose keys are the settings' names. Throws ServiceError
 * (bad-setting) with every fault in one line; values are not shown, since they may be secret.
 */
export function parseSettings<S extends z.ZodType>(schema: S, settings: Settings): z.output<S> {
  const result = schema.safeParse(settings);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new ServiceError('bad-setting', `bad settings: ${faults.join('; ')}`);
}

const DURATION_UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** What Node's timers take; longer is no time-out but a mistake. */
const LONGEST_DURATION_MS = 2 ** 31 - 1;

/** Milliseconds, written as "250ms", "30s", "5m", "2h", "20d"; within the limits given. */
export function duration(leastMs: number, mostMs: number = LONGEST_DURATION_MS) {
  return z.string().transform((text, context) => {
    const match = /^(\d{1,10})(ms|s|m|h|d)$/.exec(text.trim());
    const unit = DURATION_UNITS_MS[(match?.[2] ?? 'ms') as keyof typeof DURATION_UNITS_MS];
    const value = match === null ? Number.NaN : Number(match[1]) * unit;
    if (value >= leastMs && value <= mostMs) return value;
    context.addIssue({
      code: 'custom',
      message: `wants a duration such as 250ms, 30s, 5m, 2h, from ${leastMs} ms to ${mostMs} ms`,
    });
    return z.NEVER;
  });
}

/** A size in bytes, written as "65536", "64KiB", "50MiB". */
export const byteSize = z.string().transform((text, context) => {
  const match = /^(\d{1,12})(B|KiB|MiB|GiB)?$/.exec(text.trim());
  const unit = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }[match?.[2] ?? 'B'];
  if (match?.[1] === undefined || unit === undefined) {
    context.addIssue({ code: 'custom', message: 'wants a size such as 65536, 64KiB, 50MiB' });
    return z.NEVER;
  }
  return Number(match[1]) * unit;
});

/** "yes" and "no", and what people write for them. */
export const flag = z.string().transform((text, context) => {
  if (/^(1|yes|true|on)$/i.test(text)) return true;
  if (/^(0|no|false|off)$/i.test(text)) return false;
  context.addIssue({ code: 'custom', message: 'wants yes or no' });
  return z.NEVER;
});

export const wholeNumber = (least: number, most: number) =>
  z.string().transform((text, context) => {
    const value = /^\d{1,10}$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most)) {
      context.addIssue({
        code: 'custom',
        message: `wants a whole number from ${least} to ${most}`,
      });
      return z.NEVER;
    }
    return value;
  });

/** A comma- or space-separated list; empty items are dropped. */
export const list = z
  .string()
  .transform((text) => text.split(/[\s,]+/).filter((item) => item !== ''));

/** What every process of Concert has, whatever it does. */
export const commonSettings = z.object({
  /** Where this host keeps its data. */
  CONCERT_DATA: z.string().default('./data'),
  /** host:port of the registry's gRPC. */
  CONCERT_REGISTRY: z.string().default('127.0.0.1:7443'),
  /**
   * Folder with this process's identity: cert.pem, key.pem, ca.pem. By default identities/service/NAME in
   * the data folder, for the command identities/operator/admin.
   */
  CONCERT_IDENTITY: z.string().optional(),
  /** Tells this replica from the others of its service; by default the host's name. */
  CONCERT_INSTANCE: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'wants 1 to 64 letters, digits, dots, hyphens, underscores')
    .default(
      hostname()
        .replaceAll(/[^A-Za-z0-9._-]/g, '-')
        .slice(0, 64) || 'host',
    ),
  /** Processes that share the ports of a mail service; each is a subscriber. */
  CONCERT_WORKERS: wholeNumber(1, 64).prefault('1'),
  /** From which level on lines are logged. */
  CONCERT_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info'),
  /** How long sessions may take to end at shutdown. */
  CONCERT_SHUTDOWN_GRACE: duration(0, 600_000).prefault('10s'),
  /**
   * How long it goes on taking connections after it was told to stop, no longer ready, until whoever spreads
   * connections over replicas has seen that.
   */
  CONCERT_SHUTDOWN_DELAY: duration(0, 600_000).prefault('0s'),
  /** Address of /metrics, /livez, /startupz and /readyz: "host:port", empty for none. */
  CONCERT_ADMIN_LISTEN: z.string().default(''),
});
export type CommonSettings = z.output<typeof commonSettings>;
