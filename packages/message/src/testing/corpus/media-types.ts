/** What Content-Type and its companions say (RFC 2045, 2046, 2183, 2231, 2557, 3282), well and badly. */
import { type CorpusEntry, mail } from './entry.ts';

export const MEDIA_TYPES: readonly CorpusEntry[] = [
  mail('no Content-Type', 'Subject: x\n\ntext\n'),
  mail('empty Content-Type', 'Content-Type:\n\ntext\n'),
  mail('Content-Type without subtype', 'Content-Type: text\n\ntext\n'),
  mail('Content-Type without type', 'Content-Type: /plain; charset=utf-8\n\ntext\n'),
  mail('Content-Type of three', 'Content-Type: text/plain/extra\n\ntext\n'),
  mail('Content-Type of nonsense', 'Content-Type: ;;;"/"=\n\ntext\n'),
  mail('Content-Type in quotes', 'Content-Type: "text/html"\n\ntext\n'),
  mail('Content-Type without a semicolon', 'Content-Type: image/png name="x.png"\n\nx\n'),
  mail('Content-Type with blanks', 'Content-Type:  TEXT / HTML ; Charset = UTF-8 ;\n\ntext\n'),
  mail(
    'Content-Type with comments',
    'Content-Type: (a) text (b) / (c (d)) html (e); (f) charset (g) = (h) utf-8 (i)\n\ntext\n',
  ),
  mail('unknown types', 'Content-Type: X-Own/Thing.v2+json; A=b\n\nx\n'),
  mail('Content-Type given twice', 'Content-Type: text/html\nContent-Type: image/png\n\nx\n'),
  mail(
    'parameters that are hardly any',
    'Content-Type: text/plain; a; =b; c=; d=""; e=f=g; "h"=i; j = k l; m="n\n\nx\n',
  ),
  mail(
    'quoted parameters',
    'Content-Type: text/plain; a="x;y"; b="say \\"hi\\""; c="back\\\\slash"; d="(no comment)"\n\nx\n',
  ),
  mail(
    'continued parameters',
    `Content-Type: application/octet-stream; name*0="a very";
 name*1=" long"; name*2=".name"

x
`,
  ),
  mail(
    'encoded parameters',
    `Content-Type: application/octet-stream; name*=utf-8'de'Gr%C3%BC%C3%9Fe
Content-Disposition: attachment;
 filename*0*=iso-8859-1''na%EFve; filename*1=" plain"; filename*2*=%21

x
`,
  ),
  mail(
    'continued parameters with a gap',
    'Content-Type: a/b; name*0=x; name*2=z; size*1=2; other*0=o\n\nx\n',
  ),
  mail('words in a parameter', 'Content-Type: a/b; name="=?utf-8?Q?Gr=C3=BC=C3=9Fe?="\n\nx\n'),
  mail('8-bit in a parameter', 'Content-Type: a/b; name="Gr\xc3\xbc\xc3\x9fe.txt"\n\nx\n'),
  mail(
    'every field of a part',
    `Content-Type: text/plain; charset=us-ascii
Content-ID: <part@example.test>
Content-Description: a =?utf-8?q?sch=C3=B6nes?= part
Content-Transfer-Encoding: 7BIT
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
Content-Disposition: Attachment; FileName="a.txt"; size=12
Content-Language: en, de-AT
Content-Location: http://example.test/a.txt

one
two
`,
  ),
  mail(
    'every field of a part, empty',
    `Content-Type: text/plain
Content-ID:
Content-Description:
Content-Transfer-Encoding:
Content-MD5:
Content-Disposition:
Content-Language:
Content-Location:

x
`,
  ),
  mail(
    'one language',
    'Content-Type: text/plain\nContent-Language: i-klingon (tlhIngan Hol)\n\nx\n',
  ),
  mail(
    'languages with comments',
    'Content-Type: text/plain\nContent-Language: en (English), , de (German, spoken)\n\nx\n',
  ),
  mail(
    'disposition with comments and no type',
    `Content-Type: multipart/mixed; boundary=x

--x
Content-Disposition: inline (shown)

a
--x
Content-Disposition: ; filename=a.txt

b
--x
Content-Disposition: attachment filename="a.txt"

c
--x--
`,
  ),
  mail(
    'transfer encodings',
    `Content-Type: multipart/mixed; boundary=x

--x
Content-Transfer-Encoding: Quoted-Printable (really)

=3D
--x
Content-Transfer-Encoding: x-uuencode

begin 644 a
end
--x
Content-Transfer-Encoding: 8 bit

c
--x
Content-Transfer-Encoding: base64;

ZA==
--x--
`,
  ),
  mail(
    'flowed text',
    `Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes

A line that goes 
on.
> quoted 
> text
-- 
Ada
`,
  ),
  mail(
    'external body',
    `Content-Type: message/external-body; access-type=URL;
 URL="http://example.test/a.pdf"; expiration="Mon, 14 Jun 2027 19:13:14 -0400"

Content-Type: application/pdf
Content-ID: <ext@example.test>

`,
  ),
  mail(
    'piece of a message',
    `Content-Type: message/partial; id="abc@example.test"; number=2; total=3

and the rest of it
`,
  ),
  mail(
    'message in UTF-8',
    `From: =?utf-8?q?J=C3=BCrgen?= <a@example.test>
Content-Type: message/global

From: J\xc3\xbcrgen <j\xc3\xbcrgen@example.test>
Subject: Gr\xc3\xbc\xc3\x9fe

Sch\xc3\xb6n
`,
  ),
  mail(
    'apple double',
    `Content-Type: multipart/mixed; boundary=x

--x
Content-Type: multipart/appledouble; boundary=y

--y
Content-Type: application/applefile; name="a.jpg"
Content-Transfer-Encoding: base64

AAUWBwACAAA=
--y
Content-Type: image/jpeg; name="a.jpg"
Content-Transfer-Encoding: base64

/9j/4AAQ
--y--
--x--
`,
  ),
  mail(
    'uuencoded text',
    `Subject: a file
Content-Type: text/plain

begin 644 cat.txt
#0V%T
\`
end
`,
  ),
  mail(
    'yEnc and its like',
    `Subject: a.bin (1/1)

=ybegin line=128 size=4 name=a.bin
\x2b\x2c=}\xff\xfe
=yend size=4
`,
  ),
  mail(
    'winmail.dat',
    `Content-Type: multipart/mixed; boundary="_000_"

--_000_
Content-Type: text/plain; charset="iso-8859-1"

see attached
--_000_
Content-Type: application/ms-tnef; name="winmail.dat"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="winmail.dat"

eJ8+IgEA
--_000_--
`,
  ),
  mail(
    'invitation',
    `From: Ada <ada@example.test>
To: bob@example.test
Subject: Lunch
Content-Type: multipart/alternative; boundary=x

--x
Content-Type: text/plain; charset=utf-8

Lunch on Monday
--x
Content-Type: text/calendar; charset=utf-8; method=REQUEST; component=vevent
Content-Transfer-Encoding: 7bit
Content-Class: urn:content-classes:calendarmessage

BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VEVENT
UID:1@example.test
SUMMARY:Lunch
END:VEVENT
END:VCALENDAR
--x--
`,
  ),
];
