import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const loggerUrl = new URL('./logger.ts', import.meta.url).href;

/** What a process of its own writes that runs `body` with a logger; lines as objects, and as text. */
function logged(body: string, options = ''): { text: string; lines: Record<string, unknown>[] } {
  const program = `import { createLogger, withLogFields } from '${loggerUrl}';
    const logger = createLogger({ service: 'imap', instance: 'one', level: 'info' ${options} });
    ${body}`;
  const text = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const lines = text.split('\n').slice(0, -1);
  return { text, lines: lines.map((line) => JSON.parse(line)) };
}

test('a line says which process speaks, and of workers which', () => {
  const { lines } = logged(`logger.info({ listener: 'imaps' }, 'listening')`, ', worker: 2');
  expect(lines).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      service: 'imap',
      instance: 'one',
      worker: 2,
      pid: expect.any(Number),
      listener: 'imaps',
      msg: 'listening',
    },
  ]);
});

test('lines of one session carry what they have in common, over awaits and nowhere else', () => {
  const { lines } = logged(`
    const common = { session: 'a' };
    await withLogFields(common, async () => {
      await null;
      logger.info('first');
      common.account = 7;
      await new Promise((resolve) => setImmediate(resolve));
      logger.info({ session: 'own' }, 'second');
    });
    logger.info('outside');`);
  expect(lines.map(({ session, account, msg }) => [msg, session, account])).toEqual([
    ['first', 'a', undefined],
    ['second', 'own', 7],
    ['outside', undefined, undefined],
  ]);
});

test('what a stranger sends makes no second line, acts on no terminal, and is cut', () => {
  // every character of the planes' first, in texts that are well formed
  const texts = fc.sample(fc.string({ unit: 'grapheme', maxLength: 200 }), 100);
  texts.push('\n{"level":"fatal"}\r\n', '\u009b31mred\u2028\u2029\u202e\u007f\u001b[2J');
  const { text, lines } = logged(`
    for (const text of ${JSON.stringify(texts)}) {
      logger.info({ text, nested: { list: [text] }, error: new Error(text) }, text);
    }
    logger.info({ text: 'x'.repeat(1_000_000), client: { name: 'y'.repeat(1_000_000) } }, 'long');
    logger.info({ error: new Error('z'.repeat(1_000_000)) }, 'long error');`);
  expect(lines).toHaveLength(texts.length + 2);
  expect(lines.slice(0, texts.length).map((line) => line['text'])).toEqual(texts);
  expect(text).not.toMatch(/[^\P{Cc}\n]|[\u2028\u2029\u202a-\u202e]/u);
  for (const line of lines.slice(texts.length)) {
    expect(JSON.stringify(line).length).toBeLessThan(20_000);
  }
});

test('secrets that slip in are cut, and trouble is told', () => {
  const { lines } = logged(
    `logger.warn({ password: 'hunter2', request: { privateKeyPem: 'key' } }, 'slip');
     logger.info({ told }, 'count');`,
    `, onTrouble: (level) => { globalThis.told = level; }`,
  );
  expect(lines[0]).toMatchObject({
    password: '[redacted]',
    request: { privateKeyPem: '[redacted]' },
  });
  expect(lines[1]).toMatchObject({ told: 'warn' });
});
