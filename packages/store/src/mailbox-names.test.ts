import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareNames, isInferior, parseMailboxName, superiorsOf } from './mailbox-names.ts';

describe('mailbox names', () => {
  it.each([
    ['inbox', 'INBOX'],
    ['iNbOx/Work', 'INBOX/Work'],
    ['Work/inbox', 'Work/inbox'],
    ['inboxes', 'inboxes'],
    ['Entwu\u0308rfe', 'Entwürfe'],
    ['日本語/📬', '日本語/📬'],
    ['a&b.c ~"', 'a&b.c ~"'],
    ['x'.repeat(1000), 'x'.repeat(1000)],
  ])('%j is kept as %j', (text, name) => {
    expect(parseMailboxName(text)).toBe(name);
  });

  it.each([
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    'a*',
    '%',
    'a\0',
    'a\r\nb',
    'a\u0085',
    'a\u2028',
    'a\ud800',
    'x'.repeat(1001),
    'ä'.repeat(501),
    Array.from({ length: 33 }, () => 'a').join('/'),
  ])('%j is refused', (text) => {
    expect(parseMailboxName(text)).toBeUndefined();
  });

  it('know their superiors', () => {
    expect(superiorsOf('a')).toEqual([]);
    expect(superiorsOf('a/b/c')).toEqual(['a', 'a/b']);
    expect(isInferior('a/b', 'a')).toBe(true);
    expect(isInferior('ab', 'a')).toBe(false);
    expect(isInferior('a', 'a')).toBe(false);
  });

  it('are listed with INBOX first', () => {
    expect(['b', 'INBOX', 'B', 'a/b', 'a'].sort(compareNames)).toEqual([
      'INBOX',
      'B',
      'a',
      'a/b',
      'b',
    ]);
  });

  it('are read the same once they are written down', () => {
    const unit = fc.constantFrom(
      'a',
      'inbox',
      '/',
      'ä',
      'a',
      '\u0308',
      '\ud800',
      '%',
      '\0',
      '日',
      'ﬁ',
    );
    fc.assert(
      fc.property(fc.string({ unit }), (text) => {
        const name = parseMailboxName(text);
        if (name !== undefined) expect(parseMailboxName(name)).toBe(name);
      }),
    );
  });
});
