import { describe, expect, test } from 'vitest';
import { ImapStrings } from './imap-strings.ts';
import {
  type RenderingMode,
  renderBody,
  renderBodyStructure,
  renderEnvelope,
  renderPlain,
} from './rendering.ts';
import { parseMessage } from './structure.ts';

const REV1: RenderingMode = { strings: new ImapStrings(false), rev2: false };
const REV2: RenderingMode = { strings: new ImapStrings(true), rev2: true };
const parse = (text: string) => parseMessage(Buffer.from(text.replaceAll('\n', '\r\n')));

describe('what is the same for every client', () => {
  const structure = parse(`Subject: "hi" \\o/
From: Alice <alice@example.test>
Content-Type: multipart/mixed; boundary=b
Content-Language: en

--b
Content-Type: text/plain; charset=utf-8
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==

one
two
--b
Content-Type: image/png; name="x.png"
Content-Disposition: attachment; filename="x.png"
Content-Location: x.png
Content-Transfer-Encoding: base64

AAAA
--b--
`);
  const { envelope, bodyStructure } = renderPlain(structure);

  test('is what each would be told', () => {
    expect(envelope).toBe(
      String.raw`(NIL "\"hi\" \\o/" (("Alice" NIL "alice" "example.test")) (("Alice" NIL "alice" "example.test")) (("Alice" NIL "alice" "example.test")) NIL NIL NIL NIL NIL)`,
    );
    expect(bodyStructure).toBe(
      '(("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 8 1 "Q2hlY2sgSW50ZWdyaXR5IQ==" NIL NIL NIL)' +
        '("image" "png" ("name" "x.png") NIL NIL "base64" 4 NIL ("attachment" ("filename" "x.png")) NIL "x.png")' +
        ' "mixed" ("boundary" "b") NIL ("en") NIL)',
    );
    for (const mode of [REV1, REV2]) {
      expect(renderEnvelope(structure.envelope, mode.strings)).toBe(envelope);
      expect(renderBodyStructure(structure.root, mode)).toBe(bodyStructure);
    }
  });

  test('BODY has no extension data', () => {
    expect(renderBody(structure.root, REV1)).toBe(
      '(("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 8 1)' +
        '("image" "png" ("name" "x.png") NIL NIL "base64" 4) "mixed")',
    );
  });

  test.each([
    ['nothing', ''],
    ['a control character', 'Subject: a\x01b\n\n'],
    ['a string too long to be quoted', `Subject: ${'x'.repeat(2000)}\n\n`],
    ['a text that looks like a literal', 'Subject: {3}\n\n'],
  ])('%s is', (_, text) => {
    const structure = parse(text);
    const { envelope, bodyStructure } = renderPlain(structure);
    expect(envelope).toBe(renderEnvelope(structure.envelope, REV2.strings));
    expect(bodyStructure).toBe(renderBodyStructure(structure.root, REV2));
  });
});

describe('what differs between clients', () => {
  test.each([
    ['8-bit in a subject', 'Subject: grün\n\n', true, false],
    ['8-bit in a long subject', `Subject: ${'ü'.repeat(2000)}\n\n`, true, false],
    ['8-bit in a parameter', 'Content-Type: text/plain; name="ü"\n\n', false, true],
    ['a continued parameter', 'Content-Type: text/plain; n*0=a; n*1=b\n\n', false, true],
    ['an encoded parameter', "Content-Type: a/b; n*=utf-8''%41\n\n", false, true],
    ['a message in UTF-8', 'Content-Type: message/global\n\nSubject: x\n\n', false, true],
    ['8-bit in an embedded subject', 'Content-Type: message/rfc822\n\nSubject: ü\n\n', false, true],
  ])('%s', (_, text, differsInStructure, differsInEnvelope) => {
    const { envelope, bodyStructure } = renderPlain(parse(text));
    expect(envelope === undefined).toBe(!differsInEnvelope);
    expect(bodyStructure === undefined).toBe(!differsInStructure);
  });

  test('are the words and the shape', () => {
    const { root } = parse("Content-Type: message/global; n*=utf-8''%C3%BC\n\nSubject: ü\n\n");
    const [old, now] = [renderBody(root, REV1), renderBody(root, REV2)];
    expect(old).toBe('("message" "global" ("n*" "utf-8\'\'%C3%BC") NIL NIL "7bit" 15)');
    expect(now).toBe(
      '("message" "global" ("n*" "ü") NIL NIL "7bit" 15 (NIL "ü" NIL NIL NIL NIL NIL NIL NIL NIL) ' +
        '("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) 2)',
    );
  });
});
