/** Time that something may take, where the error tells whose time ran out. */
import type { AcmeError } from './errors.ts';

/** Runs `work` with a signal that is aborted after `ms`, `late` its reason. */
export async function within<T>(
  ms: number,
  late: AcmeError,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ended = new AbortController();
  const timer = setTimeout(() => ended.abort(late), ms);
  try {
    return await work(ended.signal);
  } finally {
    clearTimeout(timer);
  }
}
