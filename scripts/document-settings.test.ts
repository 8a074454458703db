import { expect, test } from 'vitest';
import { readSettingsOf } from './document-settings.ts';

test('reads names, defaults and comments of a schema', () => {
  const source = `
const schema = z.object({
  /** Where to
   * listen. */
  CONCERT_A: listeners.prefault(
    'tls://a ' +
      'tls://b',
  ),
  CONCERT_B: z.enum(['x', 'y']).default('x'),
  /** How long. */
  CONCERT_C: duration(1_000).prefault('30m'),
  CONCERT_D: z.string().regex(/^[a,b]$/, 'wants a, b').optional(),
});`;
  expect(readSettingsOf(source)).toEqual([
    { name: 'CONCERT_A', fallback: 'tls://a tls://b', meaning: 'Where to listen.' },
    { name: 'CONCERT_B', fallback: 'x', meaning: '' },
    { name: 'CONCERT_C', fallback: '30m', meaning: 'How long.' },
    { name: 'CONCERT_D', fallback: '', meaning: '' },
  ]);
});
