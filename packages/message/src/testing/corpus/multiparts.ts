/** Multiparts and messages within messages (RFC 2046 §5): nesting, and every way to get boundaries wrong. */
import { type CorpusEntry, mail } from './entry.ts';

export const MULTIPARTS: readonly CorpusEntry[] = [
  mail(
    'preamble and epilogue',
    `From: Ada <ada@example.test>
Subject: two parts
Content-Type: multipart/mixed; boundary="simple"

A preamble, which nobody reads.
--simple

without a header
--simple
Content-Type: text/plain; charset=us-ascii

ends with a line break

--simple--
An epilogue, which nobody reads.
`,
  ),
  mail(
    'message in multipart in message in multipart',
    `From: ada@example.test
Subject: outermost
Content-Type: multipart/mixed; boundary=a

--a
Content-Type: text/plain

one
--a
Content-Type: message/rfc822
Content-Description: forwarded

From: bob@example.test
Subject: middle
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: message/rfc822

From: eve@example.test
Subject: innermost
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain

plain
--c
Content-Type: text/html

<p>html</p>
--c--
--b
Content-Type: text/plain

two.two
--b--
--a--
`,
  ),
  mail(
    'message in message in message',
    `Subject: first
Content-Type: message/rfc822

Subject: second
Content-Type: message/rfc822

Subject: third

text
`,
  ),
  mail(
    'multipart in multipart in multipart',
    `Subject: with everything
Content-Type: multipart/mixed; boundary=mixed

--mixed
Content-Type: multipart/related; boundary=related; type="multipart/alternative"

--related
Content-Type: multipart/alternative; boundary=alternative

--alternative
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe
--alternative
Content-Type: text/html; charset=utf-8

<img src="cid:logo@example.test">
--alternative--

--related
Content-Type: image/gif
Content-ID: <logo@example.test>
Content-Transfer-Encoding: base64
Content-Disposition: inline

R0lGODlhAQABAAAAACw=
--related--

--mixed
Content-Type: application/pdf; name="a.pdf"
Content-Disposition: attachment; filename="a.pdf"; size=9
Content-Transfer-Encoding: base64

JVBERi0xLjQK
--mixed--
`,
  ),
  mail(
    'empty parts',
    `Content-Type: multipart/mixed; boundary=x

--x

--x
Content-Type: text/html

--x
Content-Type: image/png
--x
--x
Content-Type: message/rfc822

--x--
`,
  ),
  mail(
    'multipart without a boundary parameter',
    `Content-Type: multipart/mixed

--x

a
--x--
`,
  ),
  mail(
    'multipart whose boundary is nowhere',
    `Content-Type: multipart/mixed; boundary=x

only text
`,
  ),
  mail(
    'multipart that is closed at once',
    `Content-Type: multipart/mixed; boundary=x

--x--
`,
  ),
  mail('multipart without a body', 'Content-Type: multipart/mixed; boundary=x\n\n'),
  mail('multipart that ends with its header', 'Content-Type: multipart/mixed; boundary=x\n'),
  mail('multipart that ends at a boundary', 'Content-Type: multipart/mixed; boundary=x\n\n--x'),
  mail(
    'no closing boundary',
    `Content-Type: multipart/mixed; boundary=x

--x

first
--x

never closed
`,
  ),
  mail(
    'inner multipart that is not closed',
    `Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner

first
--inner

second
--outer

third
--outer--
`,
  ),
  mail(
    'boundary that begins like the inner one',
    `Content-Type: multipart/mixed; boundary=ab

--ab
Content-Type: multipart/mixed; boundary=abc

--abc

inner
--abc--
--ab

outer
--ab--
`,
  ),
  mail(
    'inner boundary that begins like the outer one',
    `Content-Type: multipart/mixed; boundary=abc

--abc
Content-Type: multipart/mixed; boundary=ab

--ab

inner
--ab--
--abc

outer
--abc--
`,
  ),
  mail(
    'one boundary for both multiparts',
    `Content-Type: multipart/mixed; boundary=same

--same
Content-Type: multipart/mixed; boundary=same

--same

first
--same--

--same

second
--same--
`,
  ),
  mail(
    'boundary given twice',
    `Content-Type: multipart/mixed; boundary=x; boundary=y

--y

in y
--x

in x
--x--
`,
  ),
  mail(
    'lines that only look like boundaries',
    `Content-Type: multipart/mixed; boundary=x

--x

--xy
 --x
-- x
--x-
--X
x
--x--
`,
  ),
  mail(
    'blanks behind boundaries',
    `Content-Type: multipart/mixed; boundary="x"

--x \t

one
--x   

two
--x--\t
`,
  ),
  mail(
    'boundary of odd characters',
    `Content-Type: multipart/mixed; boundary="'()+_,-./:=? a"

--'()+_,-./:=? a

one
--'()+_,-./:=? a--
`,
  ),
  mail(
    'boundary that needs quotes and has none',
    `Content-Type: multipart/mixed; boundary=----=_Part_1.2

------=_Part_1.2

one
------=_Part_1.2--
`,
  ),
  mail(
    'boundary of 70 characters',
    `Content-Type: multipart/mixed; boundary=${'b'.repeat(70)}

--${'b'.repeat(70)}

one
--${'b'.repeat(70)}--
`,
  ),
  mail(
    'boundary of 90 characters',
    `Content-Type: multipart/mixed; boundary=${'b'.repeat(90)}

--${'b'.repeat(90)}

one
--${'b'.repeat(90)}--
`,
  ),
  mail(
    'boundary of 300 characters',
    `Content-Type: multipart/mixed; boundary=${'b'.repeat(300)}

--${'b'.repeat(300)}

one
--${'b'.repeat(300)}--
`,
  ),
  mail(
    'boundary in Latin-1',
    `Content-Type: multipart/mixed; boundary="gr\xfcn"

--gr\xfcn

one
--gr\xfcn--
`,
  ),
  mail(
    'boundary in UTF-8',
    `Content-Type: multipart/mixed; boundary="gr\xc3\xbcn"

--gr\xc3\xbcn

one
--gr\xc3\xbcn--
`,
  ),
  mail(
    'boundary in pieces',
    `Content-Type: multipart/mixed; boundary*0=first; boundary*1=second

--firstsecond

one
--firstsecond--
`,
  ),
  mail(
    'boundary with a charset',
    `Content-Type: multipart/mixed; boundary*=us-ascii'en'a%2Fb

--a/b

one
--a/b--
`,
  ),
  mail(
    'folded boundary parameter',
    `Content-Type: multipart/mixed;
\tboundary="x"

--x

one
--x--
`,
  ),
  mail(
    'digest',
    `Content-Type: multipart/digest; boundary=x

A table of contents.
--x

From: ada@example.test
Subject: first

one
--x
Content-Type: text/plain

no message
--x

From: bob@example.test
Subject: second

two

--x--
`,
  ),
  mail(
    'part whose header ends at the boundary',
    `Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/html
Content-ID: <a@example.test>
--x

two
--x--
`,
  ),
  mail(
    'part without a blank line behind its header',
    `Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain
this is no header field
and neither is this
--x--
`,
  ),
  mail(
    'multipart with a transfer encoding',
    `Content-Type: multipart/mixed; boundary=x
Content-Transfer-Encoding: base64

--x
Content-Type: text/plain

one
--x--
`,
  ),
  mail(
    'unknown multipart',
    `Content-Type: multipart/x-unheard-of; boundary=x
Content-Disposition: inline
Content-Language: en
Content-Location: http://example.test/

--x

one
--x--
`,
  ),
  mail(
    'text behind the closing boundary that looks like parts',
    `Content-Type: multipart/mixed; boundary=x

--x

one
--x--

--x

no part
--x--
`,
  ),
];
