/** What the ACME source knows across restarts, of one directory. Times are milliseconds since the epoch. */
import { z } from 'zod';
import type { StoredValue, StoredValues } from '../../stored-values.ts';
import { NO_ATTEMPTS } from './back-off.ts';

const stateSchema = z.object({
  /** Of another, all but the request with the next key, and `deaf`, is of no use any more. */
  directoryUrl: z.string(),
  /** The signing request with the next key. */
  requestId: z.string().optional(),
  requestNames: z.array(z.string()).default([]),
  /** The one that came last. Its row may be deleted by an operator; the timetable stays. */
  certificate: z
    .object({
      id: z.string(),
      /** Those that were asked for. */
      names: z.array(z.string()),
      notBefore: z.number(),
      notAfter: z.number(),
      arrivedAt: z.number(),
      renewAt: z.number(),
    })
    .optional(),
  /** What the CA suggests for that certificate. */
  suggestion: z
    .object({
      start: z.number(),
      end: z.number(),
      renewAt: z.number(),
      explanation: z.string().optional(),
    })
    .optional(),
  /** When to ask for that again. */
  askAt: z.number().default(0),
  /** An order that has not been answered yet, and the request that it is for. */
  order: z.object({ url: z.string(), requestId: z.string() }).optional(),
  attempts: z
    .object({ failures: z.number(), nextAt: z.number(), limited: z.boolean() })
    .default(NO_ATTEMPTS),
  /** What was ordered with which settings when it failed last: others are worth a try at once. */
  attempted: z.string().default(''),
  /** The failure that is told is that nobody could answer http-01. */
  deaf: z.boolean().default(false),
});

export type AcmeState = z.output<typeof stateSchema>;

const SETTING = 'source/acme/state';

/** The state, in memory and on the disk. Nothing here throws. */
export class KeptState {
  readonly #kept: StoredValue<AcmeState>;
  #value: AcmeState;

  constructor(storedValues: StoredValues, directoryUrl: string) {
    this.#kept = storedValues.open(SETTING, stateSchema);
    this.#value = stateOf(directoryUrl, this.#kept.value);
  }

  get value(): AcmeState {
    return this.#value;
  }

  change(change: Partial<AcmeState>): void {
    this.replace({ ...this.#value, ...change });
  }

  /** Another order is to be made for the same request. */
  dropOrder(): void {
    const { order: _, ...rest } = this.#value;
    this.replace(rest);
  }

  replace(state: AcmeState): void {
    this.#value = state;
    this.#kept.set(state);
  }
}

function stateOf(directoryUrl: string, kept: AcmeState | undefined): AcmeState {
  if (kept?.directoryUrl === directoryUrl) return kept;
  return stateSchema.parse({
    directoryUrl,
    deaf: kept?.deaf,
    ...(kept?.requestId && { requestId: kept.requestId, requestNames: kept.requestNames }),
  });
}
