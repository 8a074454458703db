/** Reports (RFC 3461 to 3464, 5965, 6522, 6533, 8098) and mail that is signed or encrypted (RFC 1847, 3156, 8551). */
import { type CorpusEntry, mail } from './entry.ts';

export const REPORTS: readonly CorpusEntry[] = [
  mail(
    'delivery report',
    `From: MAILER-DAEMON@example.test (Mail Delivery System)
To: ada@example.test
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4F/example.test"

This is a MIME-encapsulated message.

--4F/example.test
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you.

--4F/example.test
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; example.test
Arrival-Date: Mon,  4 Jan 2027 10:00:00 +0000 (UTC)

Final-Recipient: rfc822; nobody@example.test
Action: failed
Status: 5.1.1

--4F/example.test
Content-Description: Undelivered Message
Content-Type: message/rfc822

From: ada@example.test
To: nobody@example.test
Subject: hello

Hello

--4F/example.test--
`,
  ),
  mail(
    'delivery report with headers only',
    `Content-Type: multipart/report; report-type=delivery-status; boundary=x

--x

It failed.
--x
Content-Type: message/delivery-status

Reporting-MTA: dns; example.test
--x
Content-Type: text/rfc822-headers

From: ada@example.test
Subject: hello
--x--
`,
  ),
  mail(
    'delivery report in UTF-8',
    `Content-Type: multipart/report; report-type=global-delivery-status; boundary=x

--x
Content-Type: text/plain; charset=utf-8

Nicht m\xc3\xb6glich
--x
Content-Type: message/global-delivery-status

Final-Recipient: utf-8; j\xc3\xbcrgen@example.test
--x
Content-Type: message/global-headers

Subject: Gr\xc3\xbc\xc3\x9fe
--x
Content-Type: message/global

From: j\xc3\xbcrgen@example.test
Subject: Gr\xc3\xbc\xc3\x9fe

text
--x--
`,
  ),
  mail(
    'message in UTF-8 that is encoded',
    `Content-Type: message/global
Content-Transfer-Encoding: base64

U3ViamVjdDogeA0KDQp0ZXh0DQo=
`,
  ),
  mail(
    'read receipt',
    `Content-Type: multipart/report; report-type=disposition-notification; boundary=x

--x

It was read.
--x
Content-Type: message/disposition-notification

Final-Recipient: rfc822; ada@example.test
Original-Message-ID: <1@example.test>
Disposition: manual-action/MDN-sent-manually; displayed
--x--
`,
  ),
  mail(
    'abuse report',
    `Content-Type: multipart/report; report-type=feedback-report; boundary=x

--x

This is an abuse report.
--x
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Example/1.0
Version: 1
--x
Content-Type: message/rfc822
Content-Disposition: inline

From: spam@example.test
Subject: Earn money
Content-Type: text/html

<b>now</b>
--x--
`,
  ),
  mail(
    'S/MIME signed',
    `From: ada@example.test
Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256;
 boundary="----A"

This is an S/MIME signed message

------A
Content-Type: multipart/mixed; boundary="----B"

------B
Content-Type: text/plain

signed
------B--

------A
Content-Type: application/pkcs7-signature; name="smime.p7s"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="smime.p7s"

MIIB
------A--
`,
  ),
  mail(
    'S/MIME enveloped',
    `From: ada@example.test
Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="smime.p7m"

MIIBIgYJKoZIhvcNAQcDoIIB
`,
  ),
  mail(
    'PGP/MIME signed',
    `Content-Type: multipart/signed; micalg=pgp-sha256; protocol="application/pgp-signature";
 boundary=x

--x
Content-Type: text/plain; charset=us-ascii

signed=20

--x
Content-Type: application/pgp-signature

-----BEGIN PGP SIGNATURE-----

iQEz
-----END PGP SIGNATURE-----
--x--
`,
  ),
  mail(
    'PGP/MIME encrypted',
    `Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=x

--x
Content-Type: application/pgp-encrypted

Version: 1

--x
Content-Type: application/octet-stream; name="encrypted.asc"

-----BEGIN PGP MESSAGE-----

hQEM
-----END PGP MESSAGE-----

--x--
`,
  ),
];
