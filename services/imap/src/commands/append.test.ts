import fc from 'fast-check';
import { expect, test } from 'vitest';
import { withCrlf } from './append.ts';

test('every line ends in CRLF, and nothing else changes', () => {
  const texts = fc.string({ unit: fc.constantFrom('a', '\r', '\n') });
  fc.assert(
    fc.property(texts, (text) => {
      expect(withCrlf(Buffer.from(text)).toString()).toBe(text.replaceAll(/(?<!\r)\n/g, '\r\n'));
    }),
  );
});

test('what is well already is not copied', () => {
  const message = Buffer.from('a\r\nb\r\n');
  expect(withCrlf(message)).toBe(message);
});
