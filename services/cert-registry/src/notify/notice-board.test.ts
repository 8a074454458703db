import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Warning } from '../warnings.ts';
import { afterTelling, type Notice, newsOf, observe, type Standing } from './notice-board.ts';

const RULES = { settleMs: 60, repeatMs: 1_000 };

const warning = (subject: string, level = 1): Warning => ({
  code: 'subscriber-lags',
  subject,
  level,
  message: `${subject} at ${level}`,
});

/** A board that is looked at now and then, and whose news always goes out. */
class Watch {
  board: Standing[] = [];

  look(now: number, warnings: readonly Warning[]): string[] {
    this.board = observe(this.board, warnings, now, RULES);
    const news = newsOf(this.board, now, RULES);
    this.board = afterTelling(this.board, news, now);
    return news.map(({ kind, warning: { message } }) => `${kind} ${message}`);
  }
}

test('a warning is told once it has stood, when it gets worse, each day, and when it is over', () => {
  const watch = new Watch();
  expect(watch.look(0, [warning('a')])).toEqual([]);
  expect(watch.look(59, [warning('a')])).toEqual([]);
  expect(watch.look(60, [warning('a')])).toEqual(['raised a at 1']);
  expect(watch.look(100, [warning('a')])).toEqual([]);
  expect(watch.look(200, [warning('a', 2)])).toEqual(['raised a at 2']);
  expect(watch.look(1_100, [warning('a', 2)])).toEqual([]);
  expect(watch.look(1_200, [warning('a', 2)])).toEqual(['reminder a at 2']);
  expect(watch.look(1_230, [])).toEqual([]);
  expect(watch.look(1_260, [])).toEqual(['cleared a at 2']);
  expect(watch.look(1_300, [])).toEqual([]);
  expect(watch.board).toEqual([]);
});

test('what comes and goes is no news, and what is only gone for a moment is not over', () => {
  const watch = new Watch();
  watch.look(0, [warning('a')]);
  expect(watch.look(30, [])).toEqual([]);
  expect(watch.look(100, [])).toEqual([]);
  expect(watch.board).toEqual([]);

  watch.look(200, [warning('b')]);
  expect(watch.look(260, [warning('b')])).toEqual(['raised b at 1']);
  watch.look(300, []);
  expect(watch.look(310, [warning('b')])).toEqual([]);
  expect(watch.look(365, [])).toEqual([]);
});

test('a clock that is set back keeps nothing standing', () => {
  const watch = new Watch();
  watch.look(10_000, [warning('a')]);
  expect(watch.look(10_060, [warning('a')])).toEqual(['raised a at 1']);
  watch.look(100, []);
  watch.look(110, []);
  expect(watch.look(160, [])).toEqual(['cleared a at 1']);
});

test('what only waits for somebody is told once', () => {
  const watch = new Watch();
  watch.look(0, [warning('a', 0)]);
  expect(watch.look(60, [warning('a', 0)])).toEqual(['raised a at 0']);
  expect(watch.look(5_000, [warning('a', 0)])).toEqual([]);
});

test('what could not be sent stays news', () => {
  let board = observe([], [warning('a')], 0, RULES);
  board = observe(board, [warning('a')], 60, RULES);
  expect(newsOf(board, 60, RULES)).toHaveLength(1);
  board = observe(board, [warning('a')], 70, RULES);
  expect(newsOf(board, 70, RULES)).toHaveLength(1);
});

test('over any course: raised before cleared, never twice in a row, nothing before its time', () => {
  const looks = fc.array(
    fc.record({
      after: fc.integer({ min: 1, max: 90 }),
      present: fc.subarray(['a', 'b', 'c']),
      sent: fc.boolean(),
    }),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(looks, (course) => {
      let now = 0;
      let board: Standing[] = [];
      const last = new Map<string, Notice['kind']>();
      const since = new Map<string, number>();
      for (const { after, present, sent } of course) {
        now += after;
        board = observe(
          board,
          present.map((subject) => warning(subject)),
          now,
          RULES,
        );
        const news = newsOf(board, now, RULES);
        for (const notice of news) {
          const { subject } = notice.warning;
          if (notice.kind === 'raised') {
            expect(now - notice.since).toBeGreaterThanOrEqual(RULES.settleMs);
            expect(last.get(subject)).not.toBe('raised');
          } else {
            expect(['raised', 'reminder']).toContain(last.get(subject));
          }
          if (!sent) continue;
          last.set(subject, notice.kind);
          since.set(subject, now);
        }
        if (sent) board = afterTelling(board, news, now);
      }
    }),
  );
});
