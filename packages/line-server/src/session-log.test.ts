import type { Logger } from '@mail/service';
import { expect, test } from 'vitest';
import { SessionLog } from './session-log.ts';

/** Logs into a list: level, fields, words. */
function build(quiet = false): { log: SessionLog; lines: [string, object, string][] } {
  const lines: [string, object, string][] = [];
  const at = (level: string) => (fields: object, message: string) =>
    lines.push([level, fields, message]);
  const logger = { info: at('info'), debug: at('debug') } as unknown as Logger;
  const facts = { logger, listener: 'imaps 127.0.0.1:993', remoteAddress: '192.0.2.1', quiet };
  return { log: new SessionLog(facts), lines };
}

test('the last line tells what was counted and what went over the wire', () => {
  const { log, lines } = build();
  log.count('lines');
  log.count('lines', 2);
  log.count('messages');
  log.end(120, 3_400);
  const fields = { seconds: expect.any(Number), received: 120, sent: 3_400, lines: 3, messages: 1 };
  expect(lines).toEqual([['info', fields, 'a session has ended']]);
});

test.each([
  ['a probe of our own', true, 500],
  ['a client that said nothing', false, 0],
])('%s is no news', (_, quiet, received) => {
  const { log, lines } = build(quiet);
  log.end(received, 40);
  expect(lines.map(([level]) => level)).toEqual(['debug']);
});

test('ids are all different', () => {
  const ids = Array.from({ length: 100 }, () => build().log.id);
  expect(new Set(ids).size).toBe(100);
});
