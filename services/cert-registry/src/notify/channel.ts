/** A way to tell an operator. Sends all of `notices` or throws; each try is bounded in time. */
import type { Notice } from './notice-board.ts';

/** Each step of a try: connecting, sending, the answer. */
export const SEND_TIMEOUT_MS = 15_000;

export interface Channel {
  readonly name: 'mail' | 'webhook';
  send(notices: readonly Notice[], signal: AbortSignal): Promise<void>;
  close(): void;
}

const VERBS: Record<Notice['kind'], string> = {
  raised: '',
  reminder: 'still: ',
  cleared: 'over: ',
};

/** One line, for a subject or a list. */
export function describeNotice({ kind, warning }: Notice): string {
  return `${VERBS[kind]}${warning.message}`;
}
