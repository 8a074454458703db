/** When what is seen in the folder is taken, and when it is refused: pure. Times are monotonic milliseconds. */

/** What was seen last. */
export interface Watched {
  readonly key: string;
  /** Since when it has stood unchanged. */
  readonly since: number;
  /** Why it could not be taken, where that was tried. */
  readonly refused: boolean;
}

/** The folder at one look. */
export interface Look {
  /** Undefined while it changes. */
  readonly key: string | undefined;
  /** `trouble` can only be waited out; of `nothing` there is nothing to say. */
  readonly kind: 'content' | 'trouble' | 'nothing';
}

export interface Patience {
  /** How long something must stand before it is taken. */
  readonly settleMs: number;
  /** How long what does not fit may take to be completed. */
  readonly patienceMs: number;
}

/**
 * wait: it may change yet. rest: it is known. judge: see whether it can be taken, and say so in the next
 * `Watched` where it can't. report: it can't and has stood for so long that nobody is at it.
 */
export type Step = 'wait' | 'rest' | 'judge' | 'report';

/** `handled` is the key that was taken or reported last. */
export function watch(
  before: Watched | undefined,
  look: Look,
  handled: string | undefined,
  now: number,
  { settleMs, patienceMs }: Patience,
): { readonly watched: Watched | undefined; readonly step: Step } {
  if (look.key === undefined) return { watched: undefined, step: 'wait' };
  const same = before?.key === look.key;
  const watched = same ? before : { key: look.key, since: now, refused: false };
  const stood = now - watched.since;
  if (look.key === handled || look.kind === 'nothing') return { watched, step: 'rest' };
  if (look.kind === 'content' && !watched.refused) {
    return { watched, step: same && stood >= settleMs ? 'judge' : 'wait' };
  }
  return { watched, step: stood >= patienceMs ? 'report' : 'wait' };
}
