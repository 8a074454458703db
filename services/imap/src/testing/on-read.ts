/** Watches, or disturbs, how the service reads messages from the store. */
import type { Messages } from '@mail/store';
import { onTestFinished } from 'vitest';

/** For one test: reads go through what `replace` makes of the real one. */
export function onRead(
  messages: Messages,
  replace: (read: Messages['read']) => Messages['read'],
): void {
  const { read } = messages;
  messages.read = replace(read);
  onTestFinished(() => {
    messages.read = read;
  });
}
