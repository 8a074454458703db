/** What a CA says about when to renew a certificate (RFC 9773), and when to ask it again. */
import { z } from 'zod';
import { AcmeError, plainText } from './errors.ts';
import type { RenewalWindow, Validity } from './renewal-time.ts';

const answerSchema = z.object({
  suggestedWindow: z.object({
    start: z.iso.datetime({ offset: true }),
    end: z.iso.datetime({ offset: true }),
  }),
  explanationURL: z.string().optional(),
});

export interface RenewalInfo {
  readonly window: RenewalWindow;
  /** Why the window is what it is; a page for people. */
  readonly explanation: string | undefined;
}

/** Throws AcmeError (bad-answer): a window that ends before it begins is none (RFC 9773 §4.2). */
export function readRenewalInfo(body: unknown): RenewalInfo {
  const parsed = answerSchema.safeParse(body);
  const { start = '', end = '' } = parsed.data?.suggestedWindow ?? {};
  const window = { start: Date.parse(start), end: Date.parse(end) };
  if (!parsed.success || !(window.end > window.start)) {
    throw new AcmeError('bad-answer', 'the CA suggests a time for the renewal that is none');
  }
  const { explanationURL } = parsed.data;
  const explanation = explanationURL === undefined ? undefined : plainText(explanationURL);
  return { window, explanation };
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** RFC 9773 §4.3.2: six hours where nothing says otherwise, and after errors; a minute to a day where it does. */
const DEFAULT_MS = 6 * 3_600_000;
/** Of a certificate that lives for hours it is asked more often than once in its life. */
const PART_OF_LIFE = 1 / 12;

/** When to ask, of what is kept; a time that is too far away was kept by a clock that was ahead. */
export function nextPoll(askAt: number, now: number): number {
  return askAt > now + DAY_MS ? now : askAt;
}

/** How long to wait before the CA is asked again. */
export function pollDelay(
  retryAfterMs: number | undefined,
  { notBefore, notAfter }: Validity,
): number {
  if (retryAfterMs !== undefined) return Math.min(Math.max(retryAfterMs, MINUTE_MS), DAY_MS);
  return Math.min(DEFAULT_MS, Math.max(MINUTE_MS, (notAfter - notBefore) * PART_OF_LIFE));
}
