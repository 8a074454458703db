/** Headers (RFC 5322 §2.2, §3.6, §4): folding, 8-bit, what is missing, what is twice. */
import { type CorpusEntry, mail, octets } from './entry.ts';

export const HEADERS: readonly CorpusEntry[] = [
  octets('nothing at all', ''),
  octets('only a line break', '\r\n'),
  mail('only a body', '\nbody\n'),
  mail('no header but text', 'This is just text.\nAnd more of it.\n'),
  mail('no body', 'Subject: x\n\n'),
  mail('no blank line', 'Subject: x\nFrom: ada@example.test\n'),
  octets('no line end', 'Subject: x'),
  mail(
    'mbox line in front',
    'From ada@example.test Mon Jan  4 10:00:00 2027\nSubject: x\n\nbody\n',
  ),
  mail('mbox line in front, quoted', '>From ada@example.test Mon Jan  4\nSubject: x\n\nbody\n'),
  octets('bare line feeds', 'Subject: a\n b\nContent-Type: text/html\n\none\ntwo\n'),
  octets('line ends of all kinds', 'Subject: a\nFrom: ada@example.test\r\n\nunix\ndos\r\nmac\rend'),
  octets('only carriage returns', 'Subject: a\rFrom: b\r\rbody\r'),
  octets('NULs', 'Subject: a\0b\r\nFrom: \0 <ada@example.test>\r\n\r\n\0\0\r\nx\0\r\n'),
  mail('blank before the colon', 'Subject : x\nFrom\t: ada@example.test\n\nbody\n'),
  mail('no blank behind the colon', 'Subject:x\nFrom:ada@example.test\n\nbody\n'),
  mail('line that is no field', 'Subject: x\nno field\n at all\nFrom: ada@example.test\n\nbody\n'),
  mail('first line that goes on', ' goes on\nSubject: x\n\nbody\n'),
  mail('folded fields', 'Subject: a\n b\n\tc  \nFrom:\n ada@example.test\n\nbody\n'),
  mail('folded with a line of blanks', 'Subject: a\n \n b\nFrom: ada@example.test\n\nbody\n'),
  mail(
    'whole envelope',
    `Date: Mon, 04 Jan 2027 10:00:00 +0100 (CET)
From: Ada <ada@example.test>
Sender: Office <office@example.test>
Reply-To: list@example.test
To: bob@example.test, Carol <carol@example.test>
Cc: dave@example.test
Bcc: eve@example.test
Subject: all of it
In-Reply-To: <1@example.test> <2@example.test>
Message-ID: <3@example.test>

body
`,
  ),
  mail(
    'empty envelope',
    `Date:
From:
Sender:
Reply-To:
To:
Cc:
Bcc:
Subject:
In-Reply-To:
Message-ID:

body
`,
  ),
  mail(
    'fields given twice',
    `Subject: first
Subject: second
To: a@example.test
To: b@example.test, c@example.test
From: d@example.test
Message-ID: <1@example.test>
Message-ID: <2@example.test>

body
`,
  ),
  mail('odd dates', 'Date: yesterday, "or" so\nSubject: x\n\nbody\n'),
  mail('old date', 'Date: Fri, 1 Jan 99 00:00 EST\nSubject: x\n\nbody\n'),
  mail(
    'odd message ids',
    'Message-ID: no brackets at all\nIn-Reply-To: Your message of "Monday" <1@[127.0.0.1]>\n\nbody\n',
  ),
  mail(
    '8-bit in UTF-8',
    'Subject: Gr\xc3\xbc\xc3\x9fe\nFrom: J\xc3\xbcrgen <a@example.test>\n\nx\n',
  ),
  mail('8-bit in Latin-1', 'Subject: Gr\xfc\xdfe\nFrom: J\xfcrgen <a@example.test>\n\nx\n'),
  mail('8-bit in Windows-1252', 'Subject: It\x92s \x80 5\n\nx\n'),
  mail('8-bit in Shift-JIS', 'Subject: \x93\xfa\x96{\x8c\xea\n\nx\n'),
  mail('words', 'Subject: =?utf-8?B?R3LDvMOfZQ==?= =?iso-8859-1?q?_=FCber?=\n\nx\n'),
  mail('blanks of Unicode', 'Subject: \xe3\x80\x80wide\xc2\xa0\n\nx\n'),
  mail('control characters', 'Subject: bell\x07 tab\tdelete\x7f\n\nx\n'),
  mail('quotes and backslashes', 'Subject: "quoted" \\ and {5}\n\nx\n'),
];
