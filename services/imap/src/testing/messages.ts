/** The mailbox that transcripts begin with: three messages in INBOX. */
import type { NewMessage } from '@mail/store';

const lines = (...text: string[]): Buffer => Buffer.from(`${text.join('\r\n')}\r\n`);

const MEETING = lines(
  'Date: Mon, 7 Feb 1994 21:52:25 -0800',
  'From: Fred Foobar <foobar@example.test>',
  'Subject: afternoon meeting',
  'To: mooch@example.test',
  'Message-ID: <B27397-0100000@example.test>',
  '',
  'Hello Joe, do you think we can meet at 3:30 tomorrow?',
);

const REPORT = lines(
  'Date: Tue, 3 Mar 2026 08:00:00 +0000',
  'From: "Erika Mustermann" <erika@example.test>',
  'To: friends: ann@example.test, Bob <bob@example.test>;',
  'Cc: =?utf-8?q?J=C3=B6rg?= <joerg@example.test>',
  'Subject: =?utf-8?q?Bericht_f=C3=BCr_M=C3=A4rz?=',
  'Message-ID: <report-1@example.test>',
  'In-Reply-To: <B27397-0100000@example.test>',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary="outer"',
  '',
  'preamble',
  '--outer',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: quoted-printable',
  '',
  'Gr=C3=BC=C3=9Fe aus K=C3=B6ln',
  '--outer',
  'Content-Type: message/rfc822',
  '',
  'From: inner@example.test',
  'Subject: inner message',
  'Content-Type: multipart/alternative; boundary=inner',
  '',
  '--inner',
  'Content-Type: text/plain',
  '',
  'inner text',
  '--inner',
  'Content-Type: text/html',
  '',
  '<p>inner html</p>',
  '--inner--',
  '--outer',
  'Content-Type: application/octet-stream; name=data.bin',
  'Content-Transfer-Encoding: base64',
  'Content-Disposition: attachment; filename=data.bin',
  '',
  'AAECAwQ=',
  '--outer--',
);

const SHORT = lines('Subject: short', '', 'short');

export const INBOX_MESSAGES: readonly NewMessage[] = [
  {
    raw: MEETING,
    flags: ['\\Seen', '\\Answered'],
    internalDate: new Date('1994-02-08T05:52:30Z'),
  },
  { raw: REPORT, flags: ['$Work'], internalDate: new Date('2026-03-03T08:00:01Z') },
  { raw: SHORT, flags: [], internalDate: new Date('2026-11-24T12:00:00Z') },
];
