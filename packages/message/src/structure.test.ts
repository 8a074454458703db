import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findMessage, findPart } from './sections.ts';
import { type MessagePart, type MessageStructure, parseMessage } from './structure.ts';
import { everyPart, expectSound } from './testing/sound-structure.ts';

const crlf = (text: string) => text.replaceAll('\r\n', '\n').replaceAll('\n', '\r\n');
const parse = (text: string) => parseMessage(Buffer.from(text, 'latin1'));

/** "multipart/mixed(text/plain,image/png)". */
function shape(part: MessagePart): string {
  const name = `${part.type}/${part.subtype}`;
  if (part.kind === 'multipart') return `${name}(${part.children.map(shape).join(',')})`;
  return part.kind === 'message' ? `${name}{${shape(part.content)}}` : name;
}

function bodyOf(text: string, part: MessagePart | undefined): string | undefined {
  return part && text.slice(part.bodyStart, part.bodyEnd);
}

const NESTED = crlf(`From: "Doe, John" <john@example.test>
To: alice@example.test
Subject: nested
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset="UTF-8"
Content-Transfer-Encoding: QUOTED-PRINTABLE

one
two
--inner
Content-Type: text/html

<p>one</p>
--inner--
--outer
Content-Type: message/rfc822
Content-Disposition: attachment; filename="fwd.eml"

From: bob@example.test
Subject: inside
Content-Type: multipart/mixed; boundary="deep"

--deep

deep text
--deep
Content-Type: IMAGE/PNG; name="a;b.png"
Content-Transfer-Encoding: base64
Content-ID: <cid@example.test>
Content-Language: en, de

iVBORw0KGgo=
--deep--
--outer--
epilogue
`);

describe('a nested message', () => {
  const structure = parse(NESTED);

  it('has the shape it was written in', () => {
    expect(shape(structure.root)).toBe(
      'multipart/mixed(multipart/alternative(text/plain,text/html),' +
        'message/rfc822{multipart/mixed(text/plain,image/png)})',
    );
  });

  it.each([
    [[1, 1], 'one\r\ntwo', 1],
    [[1, 2], '<p>one</p>', 0],
    [[2, 1], 'deep text', 0],
    [[2, 2], 'iVBORw0KGgo=', 0],
  ])('finds the body of part %j', (path, body, lines) => {
    const part = findPart(structure, path);
    expect(bodyOf(NESTED, part)).toBe(body);
    expect(part?.lines).toBe(lines);
  });

  it.each([[[3]], [[1, 3]], [[1, 1, 1]], [[2, 3]], [[0]], [[2, 1, 1]]])(
    'has no part %j',
    (path) => {
      expect(findPart(structure, path)).toBeUndefined();
    },
  );

  it('knows embedded messages', () => {
    const inner = findMessage(structure, [2]);
    expect(inner && NESTED.slice(inner.headerStart, inner.bodyStart)).toMatch(
      /^From: bob@example\.test\r\n.*\r\n\r\n$/s,
    );
    expect(findMessage(structure, [])).toBe(structure.root);
    expect(findMessage(structure, [1])).toBeUndefined();
    const part = findPart(structure, [2]);
    expect(part?.kind === 'message' && part.envelope.subject).toBe('inside');
  });

  it('reads what BODYSTRUCTURE shows', () => {
    expect(findPart(structure, [2, 2])).toMatchObject({
      type: 'image',
      subtype: 'png',
      parameters: [['name', 'a;b.png']],
      id: '<cid@example.test>',
      encoding: 'base64',
      languages: ['en', 'de'],
    });
    expect(findPart(structure, [2])).toMatchObject({
      disposition: { type: 'attachment', parameters: [['filename', 'fwd.eml']] },
    });
    expect(findPart(structure, [1, 1])).toMatchObject({
      encoding: 'quoted-printable',
      parameters: [['charset', 'UTF-8']],
    });
  });

  it('survives the database', () => {
    expect(JSON.parse(JSON.stringify(structure))).toEqual(structure);
  });
});

describe('a message without parts', () => {
  it('is its own part 1', () => {
    const structure = parse('Subject: x\r\n\r\nbody\r\n');
    expect(findPart(structure, [1])).toBe(structure.root);
    expect(findPart(structure, [2])).toBeUndefined();
    expect(findPart(structure, [1, 1])).toBeUndefined();
    expect(structure.root).toMatchObject({
      type: 'text',
      subtype: 'plain',
      parameters: [['charset', 'us-ascii']],
      encoding: '7bit',
      lines: 1,
    });
  });
});

/** What odd mail there is, and what it is read as. */
const ODD: [
  name: string,
  text: string,
  shape: string,
  check?: (structure: MessageStructure) => void,
][] = [
  ['nothing at all', '', 'text/plain', ({ root }) => expect(root.bodyEnd).toBe(0)],
  ['only a line break', '\r\n', 'text/plain'],
  [
    'a header without a body',
    'Subject: x\r\n',
    'text/plain',
    ({ root }) => expect(root.bodyStart).toBe(12),
  ],
  [
    'no line end at all',
    'Subject: x',
    'text/plain',
    ({ envelope }) => expect(envelope.subject).toBe('x'),
  ],
  [
    'bare line feeds',
    'Subject: x\n\nbody\n',
    'text/plain',
    ({ root }) => expect(root.bodyStart).toBe(12),
  ],
  [
    'NULs',
    'Subject: a\0b\r\n\r\n\0\0\r\n',
    'text/plain',
    ({ envelope }) => expect(envelope.subject).toBe('a b'),
  ],
  [
    'an mbox line in front',
    'From alice Mon Jan 1\r\nSubject: x\r\n\r\nb',
    'text/plain',
    ({ envelope }) => expect(envelope.subject).toBe('x'),
  ],
  [
    'a blank before the colon',
    'Subject : x\r\n\r\n',
    'text/plain',
    ({ envelope }) => expect(envelope.subject).toBe('x'),
  ],
  [
    'a folded subject',
    'Subject: a\r\n b\r\n\tc\r\n\r\n',
    'text/plain',
    ({ envelope }) => expect(envelope.subject).toBe('a b\tc'),
  ],
  [
    '8-bit in the header',
    'Subject: gr\xc3\xbcn\r\nTo: "\xfc" <a@b>\r\n\r\n',
    'text/plain',
    ({ envelope }) => {
      expect(envelope.subject).toBe('grün');
      expect(envelope.to).toMatchObject([{ name: 'ü' }]);
    },
  ],
  [
    'multipart without boundary',
    'Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\na\r\n--x--\r\n',
    'text/plain',
  ],
  [
    'multipart whose boundary never comes',
    'Content-Type: multipart/mixed; boundary=x\r\n\r\nhello\r\n',
    'text/plain',
  ],
  [
    'multipart that is closed at once',
    'Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\n',
    'text/plain',
  ],
  [
    'multipart that is never closed',
    'Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\na\r\n',
    'multipart/mixed(text/plain)',
    (structure) => expect(findPart(structure, [1])?.lines).toBe(1),
  ],
  [
    'inner multipart cut off by the outer one',
    crlf(
      'Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\na\n--o\n\nb\n--o--\n',
    ),
    'multipart/mixed(multipart/mixed(text/plain),text/plain)',
  ],
  [
    'part header cut off by a boundary',
    crlf(
      'Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: text/html\n--o\n\nb\n--o--\n',
    ),
    'multipart/mixed(text/html,text/plain)',
    (structure) => {
      expect(findPart(structure, [1])).toMatchObject({ lines: 0 });
    },
  ],
  [
    'message part cut off in its header',
    crlf('Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: message/rfc822\n--o--\n'),
    'multipart/mixed(message/rfc822{text/plain})',
  ],
  [
    'a boundary that begins like another',
    crlf(
      'Content-Type: multipart/mixed; boundary=ab\n\n--ab\nContent-Type: multipart/mixed; boundary=abc\n\n--abc\n\na\n--abc--\n--ab--\n',
    ),
    'multipart/mixed(multipart/mixed(text/plain))',
  ],
  [
    'blanks behind a boundary',
    'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x \t\r\n\r\na\r\n--x-- \r\n',
    'multipart/mixed(text/plain)',
  ],
  [
    'a digest',
    crlf('Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: d\n\nbody\n--x--\n'),
    'multipart/digest(message/rfc822{text/plain})',
    ({ root }) => expect(root).toMatchObject({ children: [{ envelope: { subject: 'd' } }] }),
  ],
  ['a type without subtype', 'Content-Type: text\r\n\r\nx', 'text/plain'],
  ['a type of nonsense', 'Content-Type: ;;;"/"=\r\n\r\nx', 'text/plain'],
  [
    'comments in the type',
    'Content-Type: text/html (really); charset=(what?)utf-8\r\n\r\nx',
    'text/html',
    ({ root }) => expect(root.parameters).toEqual([['charset', 'utf-8']]),
  ],
  [
    'an unclosed quote',
    'Content-Type: text/html; charset="utf-8\r\n\r\nx',
    'text/html',
    ({ root }) => expect(root.parameters).toEqual([['charset', 'utf-8']]),
  ],
  [
    'RFC 2231 parameters',
    "Content-Type: text/plain; name*0*=utf-8''a; name*1=b\r\n\r\nx",
    'text/plain',
    ({ root }) =>
      expect(root.parameters).toEqual([
        ['name*0*', "utf-8''a"],
        ['name*1', 'b'],
      ]),
  ],
  [
    'blanks that are quoted, and those that are not',
    'Content-Type: text/plain; a*0="long "; b = (x) " y " (z) ; c= d "e" f (g)\r\n\r\nx',
    'text/plain',
    ({ root }) =>
      expect(root.parameters).toEqual([
        ['a*0', 'long '],
        ['b', ' y '],
        ['c', 'd e f'],
      ]),
  ],
  [
    'a last part without a line end',
    'Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nabc',
    'multipart/mixed(text/plain)',
    (structure) => expect(findPart(structure, [1])).toMatchObject({ lines: 0 }),
  ],
  [
    'an empty part that ends the multipart around it as well',
    'Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n--x--\r\n',
    'multipart/mixed(multipart/mixed(text/plain))',
  ],
  [
    'an empty part',
    'Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n--x--\r\n',
    'multipart/mixed(text/plain)',
    (structure) => expect(bodyOf('', findPart(structure, [1]))).toBe(''),
  ],
];

describe('odd messages', () => {
  it.each(ODD)('%s', (_, text, expected, check) => {
    const structure = parse(text);
    expect(shape(structure.root)).toBe(expected);
    expectSound(structure, text.length);
    check?.(structure);
  });
});

describe('any octets', () => {
  const line = fc.constantFrom(
    '',
    '',
    'a',
    ' b',
    '--o',
    '--o--',
    '--i',
    '--i--',
    '--',
    'Subject: s',
    'From: a@b, "c <d',
    'Content-Type: multipart/mixed; boundary=o',
    'Content-Type: multipart/digest; boundary=i',
    'Content-Type: message/rfc822',
    'Content-Type: text/html',
    '\0',
    '\xff',
  );
  const lines = fc
    .array(fc.tuple(line, fc.constantFrom('\r\n', '\r\n', '\n', '\r')), { maxLength: 60 })
    .map((items) => items.flat().join(''));

  it('give a sound structure', () => {
    fc.assert(
      fc.property(fc.oneof(lines, fc.string({ unit: 'binary' })), (text) => {
        const octets = Buffer.from(text, 'latin1');
        const structure = parseMessage(octets);
        expectSound(structure, octets.length);
        expect(JSON.parse(JSON.stringify(structure))).toEqual(structure);
      }),
      { numRuns: 500 },
    );
  });

  it('count lines as a plain count would', () => {
    fc.assert(
      fc.property(lines, (text) => {
        for (const part of everyPart(parse(text).root)) {
          const body = text.slice(part.bodyStart, part.bodyEnd);
          expect(part.lines).toBe(body.split('\n').length - 1);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('give a sound structure when a good message is damaged', () => {
    const damage = fc.record({
      at: fc.nat(NESTED.length),
      cut: fc.nat(40),
      put: fc.string({ unit: 'binary', maxLength: 8 }),
    });
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 6 }), (damages) => {
        let text = NESTED;
        for (const { at, cut, put } of damages)
          text = text.slice(0, at) + put + text.slice(at + cut);
        const octets = Buffer.from(text, 'latin1');
        expectSound(parseMessage(octets), octets.length);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('attacks', () => {
  it('stop at a depth', () => {
    let text = '';
    for (let at = 0; at < 5_000; at += 1) {
      text += `Content-Type: multipart/mixed; boundary=b${at}\r\n\r\n--b${at}\r\n`;
    }
    expect(everyPart(parse(text).root)).toHaveLength(33);
    const messages = 'Content-Type: message/rfc822\r\n\r\n'.repeat(5_000);
    const parts = everyPart(parse(messages).root);
    expect(parts).toHaveLength(33);
    expect(parts.at(-1)).toMatchObject({ type: 'application', subtype: 'octet-stream' });
  });

  it('stop at a number of parts', () => {
    const text = `Content-Type: multipart/mixed; boundary=x\r\n\r\n${'--x\r\n\r\n'.repeat(50_000)}--x--\r\n`;
    const structure = parse(text);
    expect(everyPart(structure.root)).toHaveLength(1_000);
    expectSound(structure, text.length);
  });

  it('cannot make the structure larger than the message by much', () => {
    const to = `To: ${'a,'.repeat(2_000_000)}\r\n`;
    const huge = `${to.repeat(3)}Subject: ${'s'.repeat(5_000_000)}\r\n\r\n`;
    const structure = parse(huge);
    expect(structure.envelope.to).toHaveLength(1_000);
    expect(JSON.stringify(structure).length).toBeLessThan(400_000);
  });

  it('cannot fill a structure with embedded messages', () => {
    const one = `--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: ${'s'.repeat(60_000)}\r\n\r\n`;
    const text = `Content-Type: multipart/mixed; boundary=x\r\n\r\n${one.repeat(200)}`;
    expect(JSON.stringify(parse(text)).length).toBeLessThan(1_500_000);
  });
});
