import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ContentFault, ContentScan } from './content-scan.ts';

function scan(...chunks: readonly Uint8Array[]): ContentFault | undefined {
  const found = new ContentScan();
  for (const chunk of chunks) found.push(chunk);
  return found.finish();
}

test.each([
  ['', undefined],
  ['a\r\nb\r\n', undefined],
  ['\r\n', undefined],
  ['a\n', 'bare-lf'],
  ['\na', 'bare-lf'],
  ['a\rb', 'bare-cr'],
  ['a\r', 'bare-cr'],
  ['a\r\r\n', 'bare-cr'],
  ['a\r\n\n', 'bare-lf'],
  ['a\0', 'nul'],
])('%j has %s', (text, fault) => {
  expect(scan(Buffer.from(text))).toBe(fault);
});

/** Text that is mostly made of what matters. */
const text = fc
  .array(fc.constantFrom('\r', '\n', '\r\n', '\0', '.', 'a'))
  .map((parts) => parts.join(''));

test('how a message is cut makes no difference to whether it passes', () => {
  fc.assert(
    fc.property(text, fc.array(fc.nat(20)), (message, cuts) => {
      const chunks: Uint8Array[] = [];
      let rest = Buffer.from(message);
      for (const cut of cuts) {
        chunks.push(rest.subarray(0, cut));
        rest = rest.subarray(cut);
      }
      const whole = /^(?:\r\n|[^\r\n\0])*$/.test(message);
      expect(scan(...chunks, rest) === undefined).toBe(whole);
    }),
    { numRuns: 2_000 },
  );
});
