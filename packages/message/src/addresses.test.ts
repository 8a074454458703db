import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddressList } from './addresses.ts';

const box = (name: string | null, mailbox: string, host: string, route: string | null = null) => ({
  kind: 'mailbox',
  name,
  route,
  mailbox,
  host,
});
const start = (name: string) => ({ kind: 'group-start', name });
const end = { kind: 'group-end' };

describe('address lists (RFC 5322 §3.4)', () => {
  it.each<[string, unknown[]]>([
    ['', []],
    [',, ,', []],
    ['alice@example.test', [box(null, 'alice', 'example.test')]],
    ['<alice@example.test>', [box(null, 'alice', 'example.test')]],
    ['Alice Doe <alice@example.test>', [box('Alice Doe', 'alice', 'example.test')]],
    [
      '"Doe, Alice" <alice@example.test>, bob@b',
      [box('Doe, Alice', 'alice', 'example.test'), box(null, 'bob', 'b')],
    ],
    ['"a \\"b\\" \\\\c"<x@y>', [box('a "b" \\c', 'x', 'y')]],
    ['John Q. Public <j@x>', [box('John Q. Public', 'j', 'x')]],
    ['alice@example.test (Alice)', [box('Alice', 'alice', 'example.test')]],
    ['Alice (the (real) one) <a@b>', [box('Alice', 'a', 'b')]],
    ['=?utf-8?q?J=C3=BCrgen?= <j@x>', [box('=?utf-8?q?J=C3=BCrgen?=', 'j', 'x')]],
    ['"john doe"@x', [box(null, 'john doe', 'x')]],
    ['a.b.c@x.y.z', [box(null, 'a.b.c', 'x.y.z')]],
    ['a@[192.0.2.1]', [box(null, 'a', '[192.0.2.1]')]],
    ['"a@b"@c', [box(null, 'a@b', 'c')]],
    ['X <@a.test,@b.test:joe@c.test>', [box('X', 'joe', 'c.test', '@a.test,@b.test')]],
    ['Friends: a@b, C <c@d>;', [start('Friends'), box(null, 'a', 'b'), box('C', 'c', 'd'), end]],
    ['undisclosed-recipients:;', [start('undisclosed-recipients'), end]],
    [
      'A: b@c; d@e, F:;',
      [start('A'), box(null, 'b', 'c'), end, box(null, 'd', 'e'), start('F'), end],
    ],
    ['A: b@c', [start('A'), box(null, 'b', 'c'), end]],
    ['nobody', [box(null, 'nobody', '')]],
    ['undisclosed recipients', [box(null, 'undisclosed recipients', '')]],
    ['<>', []],
    ['Mailer <>', [box('Mailer', '', '')]],
    ['X <a@b, y@z', [box('X', 'a', 'b'), box(null, 'y', 'z')]],
    ['"open <a@b>', [box(null, 'open <a@b>', '')]],
    ['(open a@b', []],
  ])('%s', (text, expected) => {
    expect(parseAddressList(text)).toEqual(expected);
  });

  it('reads back what it would write', () => {
    const atom = fc.stringMatching(/^[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,12}$/);
    const name = fc
      .stringMatching(/^[ -~]{1,20}$/)
      .map((text) => text.trim())
      .filter((text) => text !== '');
    const address = fc.record({ name, mailbox: atom, host: atom });
    fc.assert(
      fc.property(fc.array(address, { maxLength: 8 }), (addresses) => {
        const text = addresses
          .map(
            ({ name, mailbox, host }) =>
              `"${name.replaceAll(/["\\]/g, '\\$&')}" <${mailbox}@${host}>`,
          )
          .join(', ');
        expect(parseAddressList(text)).toEqual(
          addresses.map(({ name, mailbox, host }) => box(name, mailbox, host)),
        );
      }),
    );
  });

  it('takes anything, and always closes its groups', () => {
    const odd = fc.array(
      fc.constantFrom('<', '>', ':', ';', ',', '@', '"', '(', ')', '[', ']', '\\', ' ', 'a', '.'),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          odd.map((items) => items.join('')),
          fc.string(),
        ),
        (text) => {
          const kinds = parseAddressList(text)
            .map(({ kind }) => kind)
            .filter((kind) => kind !== 'mailbox');
          expect(kinds.filter((_, at) => at % 2 === 0)).toEqual(
            Array(kinds.length / 2).fill('group-start'),
          );
          expect(kinds.filter((_, at) => at % 2 === 1)).toEqual(
            Array(kinds.length / 2).fill('group-end'),
          );
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
