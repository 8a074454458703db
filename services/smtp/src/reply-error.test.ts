import { silentLogger } from '@mail/service';
import { StoreError } from '@mail/store';
import { expect, test, vi } from 'vitest';
import { ReplyError, toReply } from './reply-error.ts';

test.each([
  ['a refusal', new ReplyError(550, '5.1.1', 'No such user here'), 550, '5.1.1 No such user', 0],
  ['no store', new StoreError('database-unavailable', 'why'), 451, '4.3.0 The mail store', 0],
  ['a bug', new Error('secret'), 451, '4.3.0 Something went wrong', 1],
])('%s is told in its own words', (_, error, code, text, logged) => {
  const logger = silentLogger();
  const log = vi.spyOn(logger, 'error');
  const reply = toReply(error, logger);
  expect(reply.responseCode).toBe(code);
  expect(reply.message).toContain(text);
  expect(log).toHaveBeenCalledTimes(logged);
});
