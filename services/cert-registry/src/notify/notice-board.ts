/**
 * Which warnings are news: pure. A warning is told once it has stood for a while, again when it gets worse
 * and each day that it stands, and once more when it is over. What could not be sent stays news.
 */
import type { Warning } from '../warnings.ts';

export interface Notice {
  readonly kind: 'raised' | 'reminder' | 'cleared';
  readonly warning: Warning;
  /** Since when it stands, in milliseconds since the epoch. */
  readonly since: number;
}

/** What is kept of a warning; plain, to be written down and read again. */
export interface Standing {
  readonly warning: Warning;
  readonly since: number;
  readonly seenAt: number;
  /** When it was told last, at which level; absent before that. */
  readonly told?: { readonly at: number; readonly level: number };
}

export interface NoticeRules {
  /** What comes and goes faster than this is no news. */
  readonly settleMs: number;
  readonly repeatMs: number;
}

/** `board` with what stands now. `now` in milliseconds since the epoch, here and below. */
export function observe(
  board: readonly Standing[],
  warnings: readonly Warning[],
  now: number,
  { settleMs }: NoticeRules,
): Standing[] {
  const known = new Map(board.map((standing) => [keyOf(standing.warning), standing]));
  const present = warnings.map((warning): Standing => {
    const before = known.get(keyOf(warning));
    known.delete(keyOf(warning));
    return { ...before, warning, since: before?.since ?? now, seenAt: now };
  });
  const gone = [...known.values()]
    .filter(({ told, seenAt }) => told !== undefined || now - seenAt < settleMs)
    // a clock that was set back has seen nothing in the future
    .map((standing) => ({ ...standing, seenAt: Math.min(standing.seenAt, now) }));
  return [...present, ...gone];
}

/** What is to be told of `board` now. */
export function newsOf(board: readonly Standing[], now: number, rules: NoticeRules): Notice[] {
  return board.flatMap((standing): Notice[] => {
    const kind = kindOf(standing, now, rules);
    if (kind === undefined) return [];
    return [{ kind, warning: standing.warning, since: standing.since }];
  });
}

/** `board` once `notices` have gone out. */
export function afterTelling(
  board: readonly Standing[],
  notices: readonly Notice[],
  now: number,
): Standing[] {
  const kinds = new Map(notices.map(({ kind, warning }) => [keyOf(warning), kind]));
  return board
    .filter(({ warning }) => kinds.get(keyOf(warning)) !== 'cleared')
    .map((standing) =>
      kinds.has(keyOf(standing.warning))
        ? { ...standing, told: { at: now, level: standing.warning.level } }
        : standing,
    );
}

function kindOf(
  { warning, since, seenAt, told }: Standing,
  now: number,
  { settleMs, repeatMs }: NoticeRules,
): Notice['kind'] | undefined {
  if (seenAt < now) {
    return told !== undefined && now - seenAt >= settleMs ? 'cleared' : undefined;
  }
  if (told === undefined) return now - since >= settleMs ? 'raised' : undefined;
  if (warning.level > told.level) return 'raised';
  // what merely waits for somebody is told once
  return warning.level > 0 && now - told.at >= repeatMs ? 'reminder' : undefined;
}

function keyOf({ code, subject }: Warning): string {
  return `${code} ${subject}`;
}
