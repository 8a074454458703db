import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress, requireAddress } from './addresses.ts';

describe('account addresses', () => {
  it.each([
    ['alice@example.test', 'alice@example.test', 'alice@example.test'],
    ['Alice.B@Example.TEST', 'Alice.B@example.test', 'alice.b@example.test'],
    ['a+b!#$%&*/=?^_`{|}~-@localhost', 'a+b!#$%&*/=?^_`{|}~-@localhost', undefined],
    ['ÄNNE@bücher.example', 'ÄNNE@xn--bcher-kva.example', 'änne@xn--bcher-kva.example'],
    ['a@XN--BCHER-KVA.example', 'a@xn--bcher-kva.example', undefined],
    ['A\u0308nne@x.test', 'Änne@x.test', 'änne@x.test'],
    [`${'a'.repeat(64)}@x.test`, `${'a'.repeat(64)}@x.test`, undefined],
  ])('%j is kept as %j', (text, address, key) => {
    expect(parseAddress(text)).toEqual({
      address,
      domain: address.slice(address.indexOf('@') + 1),
      key: key ?? address,
    });
  });

  it.each([
    '',
    '@',
    'alice',
    'alice@',
    '@x.test',
    'a@b@x.test',
    '.a@x.test',
    'a.@x.test',
    'a..b@x.test',
    'a b@x.test',
    'a\0@x.test',
    'a\r\n@x.test',
    'a\ud800@x.test',
    '"a b"@x.test',
    'a,b@x.test',
    'a@x..test',
    'a@x.test.',
    'a@-x.test',
    'a@x_y.test',
    'a@[127.0.0.1]',
    'a@127.0.0.1',
    'a@0x7f.1',
    'a@x.test:25',
    'a@x.test/y',
    `${'a'.repeat(65)}@x.test`,
    `${'ä'.repeat(33)}@x.test`,
    `a@${'x'.repeat(64)}.test`,
    `a@${'x.'.repeat(130)}test`,
  ])('%j is refused', (text) => {
    expect(parseAddress(text)).toBeUndefined();
    expect(() => requireAddress(text)).toThrow(
      expect.objectContaining({ name: 'StoreError', code: 'bad-address' }),
    );
  });

  it('are read the same once they are written down', () => {
    const unit = fc.constantFrom(
      'a',
      'B',
      '7',
      '.',
      '@',
      '-',
      '+',
      'ä',
      '\u0308',
      'ß',
      '日',
      '"',
      ' ',
      '\0',
    );
    const domain = fc.constantFrom('x.test', 'X.test', 'bücher.example', '1.2', 'x..y', '-');
    const address = fc.tuple(fc.string({ unit }), domain).map((parts) => parts.join('@'));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit }), address), (text) => {
        const parsed = parseAddress(text);
        if (parsed === undefined) return;
        expect(parseAddress(parsed.address)).toEqual(parsed);
        expect(parseAddress(parsed.key)?.key).toBe(parsed.key);
      }),
    );
  });
});
