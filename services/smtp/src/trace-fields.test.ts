import { parseMessage } from '@mail/message';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toEnvelopeAddress } from './addresses.ts';
import {
  examineHeader,
  formatDate,
  type Hop,
  missingFields,
  receivedField,
  withoutReturnPaths,
} from './trace-fields.ts';

const hop: Hop = {
  helo: 'client.test',
  remoteAddress: '2001:db8::1',
  hostname: 'mail.example.test',
  protocol: 'ESMTPS',
  id: 'x.1',
  tls: { version: 'TLSv1.2', cipher: 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', generation: 7 },
  recipients: ['bob@example.test'],
  at: new Date('2026-11-24T09:05:03Z'),
};

test('Received as RFC 5321 and RFC 8314 want it', () => {
  expect(receivedField(hop)).toBe(
    'Received: from client.test ([IPv6:2001:db8::1])\r\n' +
      '\tby mail.example.test with ESMTPS id x.1\r\n' +
      '\tfor <bob@example.test>\r\n' +
      '\ttls TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 (TLSv1.2, generation 7);\r\n' +
      '\tTue, 24 Nov 2026 09:05:03 +0000\r\n',
  );
});

test('what a client calls itself cannot change the field', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (helo) => {
      const field = receivedField({ ...hop, helo, tls: undefined, recipients: [] });
      expect(field).toMatch(
        /^Received: from (unknown|[\w.[\]:-]+) \(\[IPv6:2001:db8::1\]\)\r\n\tby /,
      );
      expect(field.split('\r\n')).toHaveLength(4);
    }),
  );
});

test.each([
  ['From: a\r\nDate: b\r\n\r\nReceived: in the body\r\n', 0, true, false],
  ['received: a\r\n b\r\nRECEIVED : c\r\nMessage-Id: <x>\r\n\r\n', 2, false, true],
  ['no header at all\r\n', 0, false, false],
  ['', 0, false, false],
])('the facts of %j', (text, hops, hasDate, hasMessageId) => {
  expect(examineHeader(Buffer.from(text))).toMatchObject({ hops, hasDate, hasMessageId });
});

test('Return-Path fields go, everything else stays, whatever the octets', () => {
  const line = fc.constantFrom('Return-Path: <a>', ' folded', 'Subject: b', 'Received: c', '', 'x');
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const raw = Buffer.from(lines.map((each) => `${each}\r\n`).join(''));
      const kept = Buffer.concat(withoutReturnPaths(raw, examineHeader(raw)));
      expect(examineHeader(kept).returnPaths).toEqual([]);
      const others = (text: string) => text.replaceAll(/Return-Path: <a>\r\n( folded\r\n)*/g, '');
      expect(others(kept.toString())).toBe(others(raw.toString()));
    }),
  );
});

test('what submission adds is a header that parses', () => {
  const facts = examineHeader(Buffer.from('Subject: a\r\n\r\n'));
  const fields = missingFields(facts, hop.at, 'unique', 'mail.example.test');
  const { envelope } = parseMessage(Buffer.from(`${fields}Subject: a\r\n\r\n`));
  expect(envelope).toMatchObject({
    date: 'Tue, 24 Nov 2026 09:05:03 +0000',
    messageId: '<unique@mail.example.test>',
  });
  expect(formatDate(hop.at)).toBe('Tue, 24 Nov 2026 09:05:03 +0000');
});

test.each([
  ['alice@Example.TEST', 'alice@example.test'],
  ['alice@bücher.example', 'alice@xn--bcher-kva.example'],
  ['alice@[192.0.2.1]', 'alice@[192.0.2.1]'],
  ['älice@example.test', undefined],
  ['postmaster', 'postmaster'],
  ['"alice"@example.test', 'alice@example.test'],
  ['"a\\li.ce"@example.test', 'ali.ce@example.test'],
  ['"a..b"@example.test', '"a..b"@example.test'],
  ['""@example.test', '""@example.test'],
  ['"a\\"b"@example.test', '"a\\"b"@example.test'],
  ['a b@example.test', undefined],
])('%j in an envelope is %j', (address, expected) => {
  expect(toEnvelopeAddress(address)).toBe(expected);
});

test('any address is either refused or printable', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (address) => {
      const found = toEnvelopeAddress(address);
      if (found !== undefined) expect(found).toMatch(/^[!-~]+$/);
    }),
  );
});
