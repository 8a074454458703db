import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  NameError,
  nameCovered,
  namesGained,
  namesLost,
  normaliseName,
  normalisePresentedName,
} from './names.ts';

describe('normaliseName', () => {
  it.each([
    ['mail.example.org', 'mail.example.org'],
    ['MAIL.Example.ORG', 'mail.example.org'],
    ['mail.example.org.', 'mail.example.org'],
    ['localhost', 'localhost'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['BÜCHER.example', 'xn--bcher-kva.example'],
    ['bu\u0308cher.example', 'xn--bcher-kva.example'],
    ['mail。例え。jp', 'mail.xn--r8jz45g.jp'],
    ['faß.de', 'xn--fa-hia.de'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['XN--BCHER-KVA.example', 'xn--bcher-kva.example'],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ])('writes %j as %j', (input, expected) => {
    expect(normaliseName(input)).toBe(expected);
  });

  it.each([
    '',
    '.',
    '..',
    'a..b',
    '.example.org',
    'example.org..',
    '-a.example',
    'a-.example',
    'a b.example',
    'a_b.example',
    'a%2eb.example',
    'user@example.org',
    'example.org:25',
    'https://example.org',
    '*.example.org',
    '*',
    '192.0.2.1',
    '0x7f.1',
    'host.123',
    '::1',
    '[::1]',
    'a\0b.example',
    'a\u00adb\u2028c.example',
    `${'a'.repeat(64)}.example`,
    Array.from({ length: 50 }, () => 'abcdef').join('.'),
    'x'.repeat(5000),
  ])('refuses %j', (input) => {
    expect(() => normaliseName(input)).toThrow(NameError);
  });

  it('answers any text with a stable name or a NameError', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.domain()), (text) => {
        let name: string;
        try {
          name = normaliseName(text);
        } catch (error) {
          expect(error).toBeInstanceOf(NameError);
          return;
        }
        expect(name).toMatch(/^[a-z0-9.-]{1,253}$/);
        expect(normaliseName(name)).toBe(name);
        expect(normaliseName(`${name.toUpperCase()}.`)).toBe(name);
      }),
    );
  });
});

describe('normalisePresentedName', () => {
  it('takes a wildcard as the whole left-most label', () => {
    expect(normalisePresentedName('*.Bücher.example')).toBe('*.xn--bcher-kva.example');
  });

  it.each(['*.org', '*', '*.', '*.*.example.org', 'a.*.example.org', 'x*.example.org'])(
    'refuses %j',
    (input) => {
      expect(() => normalisePresentedName(input)).toThrow(NameError);
    },
  );
});

describe('nameCovered', () => {
  it.each<[name: string, presented: string[], covered: boolean]>([
    ['mail.example.org', ['mail.example.org'], true],
    ['MAIL.example.org.', ['mail.EXAMPLE.org'], true],
    ['mail.example.org', ['example.org'], false],
    ['mail.example.org', ['*.example.org'], true],
    ['example.org', ['*.example.org'], false],
    ['a.mail.example.org', ['*.example.org'], false],
    ['a.mail.example.org', ['*.*.example.org', 'a.*.example.org'], false],
    ['mail.example.org', ['m*.example.org', '*l.example.org', 'm*l.example.org'], false],
    ['xn--bcher-kva.example.org', ['xn--*.example.org'], false],
    ['xn--bcher-kva.example.org', ['*.example.org'], true],
    ['bücher.example.org', ['xn--bcher-kva.example.org'], true],
    ['mail.bücher.example', ['*.xn--bcher-kva.example'], true],
    ['example.org', ['*.org'], false],
    ['localhost', ['*'], false],
    ['localhost', ['localhost'], true],
    ['*.example.org', ['*.example.org'], true],
    ['*.example.org', ['mail.example.org'], false],
    ['*.mail.example.org', ['*.example.org'], false],
    ['192.0.2.1', ['192.0.2.1'], false],
    ['mail.example.org', [], false],
    ['', [''], false],
  ])('%j by %j: %j', (name, presented, covered) => {
    expect(nameCovered(name, presented)).toBe(covered);
  });

  it('covers by a wildcard exactly the names one label below it', () => {
    fc.assert(
      fc.property(fc.domain(), fc.domain(), (name, other) => {
        const wildcard = [`*.${name}`];
        expect(nameCovered(name, wildcard)).toBe(false);
        expect(nameCovered(`a.${name}`, wildcard)).toBe(true);
        expect(nameCovered(`b.a.${name}`, wildcard)).toBe(false);
        const related = other.endsWith(`.${name}`);
        if (!related) expect(nameCovered(other, wildcard)).toBe(false);
      }),
    );
  });
});

describe('names lost and gained', () => {
  it('counts what the other side does not cover', () => {
    const active = ['mail.example.org', 'imap.example.org', '*.old.example'];
    const next = ['*.example.org', 'smtp.example.net'];
    expect(namesLost(active, next)).toEqual(['*.old.example']);
    expect(namesGained(active, next)).toEqual(['*.example.org', 'smtp.example.net']);
  });

  it('loses nothing against itself or more', () => {
    const names = fc.array(fc.domain(), { maxLength: 5 });
    fc.assert(
      fc.property(names, names, (active, more) => {
        expect(namesLost(active, [...more, ...active])).toEqual([]);
      }),
    );
  });
});
