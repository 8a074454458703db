/** A conversation for SEARCH, SORT and THREAD: who answers whom, and how mail programs leave that half told. */

interface Fields {
  readonly from?: string;
  readonly to?: string;
  readonly cc?: string;
  readonly subject?: string;
  readonly date?: string;
  readonly id?: string;
  readonly inReplyTo?: string;
  readonly references?: string;
  readonly type?: string;
  readonly body?: string;
}

function mail({
  body = 'Hello.\n',
  type = 'text/plain; charset=utf-8',
  ...fields
}: Fields): Buffer {
  const named: readonly (readonly [name: string, value: string | undefined])[] = [
    ['Date', fields.date],
    ['From', fields.from],
    ['To', fields.to],
    ['Cc', fields.cc],
    ['Subject', fields.subject],
    ['Message-ID', fields.id],
    ['In-Reply-To', fields.inReplyTo],
    ['References', fields.references],
    ['MIME-Version', '1.0'],
    ['Content-Type', type],
  ];
  const head = named.filter(([, value]) => value !== undefined);
  const text = `${head.map(([name, value]) => `${name}: ${value}\n`).join('')}\n${body}`;
  return Buffer.from(text.replaceAll('\n', '\r\n'));
}

const ADA = 'Ada Lovelace <ada@example.test>';
const BOB = '"Bob, the builder" <Bob@example.test>';
const ZOE = '=?utf-8?q?Zo=C3=AB?= <zoe@example.test>';
const LIST = 'Our list <list@lists.example.test>';

export const CONVERSATION: readonly Buffer[] = [
  // a thread told in full
  mail({
    from: ADA,
    to: LIST,
    subject: 'Plans',
    date: 'Mon, 2 Mar 2026 10:00:00 +0100',
    id: '<plans@x.test>',
    body: 'We need plans.\n',
  }),
  mail({
    from: BOB,
    to: LIST,
    cc: ADA,
    subject: 'Re: Plans',
    date: 'Mon, 2 Mar 2026 09:30:00 +0000',
    id: '<plans.1@x.test>',
    inReplyTo: '<plans@x.test>',
    references: '<plans@x.test>',
    body: '> We need plans.\nI have plans.\n',
  }),
  mail({
    from: ZOE,
    to: BOB,
    subject: 'AW: Plans',
    date: 'Mon, 2 Mar 2026 12:30:00 +0300',
    id: '<plans.2@x.test>',
    references: '<plans@x.test> <plans.1@x.test>',
    body: 'Grüße\n',
  }),
  mail({
    from: ADA,
    to: ZOE,
    subject: 'Re: Plans',
    date: 'Tue, 3 Mar 2026 00:30:00 +0200',
    id: '<plans.3@x.test>',
    references: '<plans@x.test> <lost@x.test>',
  }),
  // its parent comes later in the mailbox, and it has no References
  mail({
    from: BOB,
    to: ADA,
    subject: 'Re: lunch',
    date: 'Wed, 4 Mar 2026 12:10:00 +0000',
    id: '<lunch.1@x.test>',
    inReplyTo: 'Your message of today <lunch@x.test>',
  }),
  mail({
    from: ADA,
    to: BOB,
    subject: 'lunch',
    date: 'Wed, 4 Mar 2026 12:00:00 +0000',
    id: '<lunch@x.test>',
  }),
  // only the subject tells
  mail({
    from: ZOE,
    to: ADA,
    subject: 'Re: [team] lunch (fwd)',
    date: 'Wed, 4 Mar 2026 13:00:00 +0000',
    id: '<lunch.2@x.test>',
  }),
  // two answers to one that nobody has
  mail({
    from: ADA,
    to: LIST,
    subject: 'Re: never seen',
    date: 'Thu, 5 Mar 2026 08:00:00 +0000',
    id: '<never.1@x.test>',
    references: '<never@x.test>',
  }),
  mail({
    from: BOB,
    to: LIST,
    subject: 'Re: never seen',
    date: 'Thu, 5 Mar 2026 07:00:00 +0000',
    id: '<never.2@x.test>',
    references: '<never@x.test>',
  }),
  // the same id twice, and none
  mail({
    from: ADA,
    to: BOB,
    subject: 'twice',
    date: 'Fri, 6 Mar 2026 08:00:00 +0000',
    id: '<twice@x.test>',
  }),
  mail({
    from: ADA,
    to: BOB,
    subject: 'twice again',
    date: 'Fri, 6 Mar 2026 09:00:00 +0000',
    id: '<twice@x.test>',
  }),
  mail({ from: ZOE, to: ADA, subject: 'nameless', date: 'Fri, 6 Mar 2026 10:00:00 +0000' }),
  // each says that the other was first
  mail({
    from: ADA,
    to: BOB,
    subject: 'hen',
    date: 'Sat, 7 Mar 2026 08:00:00 +0000',
    id: '<hen@x.test>',
    references: '<egg@x.test>',
  }),
  mail({
    from: BOB,
    to: ADA,
    subject: 'egg',
    date: 'Sat, 7 Mar 2026 09:00:00 +0000',
    id: '<egg@x.test>',
    references: '<hen@x.test>',
  }),
  mail({
    from: BOB,
    to: ADA,
    subject: 'itself',
    date: 'Sat, 7 Mar 2026 10:00:00 +0000',
    id: '<itself@x.test>',
    references: '<itself@x.test>',
  }),
  // subjects that sort alike
  mail({
    from: ZOE,
    to: LIST,
    subject: '=?utf-8?q?=C3=84pfel?=',
    date: 'Sun, 8 Mar 2026 08:00:00 +0000',
    id: '<a@x.test>',
    body: 'Äpfel und Birnen\n',
  }),
  mail({
    from: ADA,
    to: LIST,
    subject: 'apples',
    date: 'Sun, 8 Mar 2026 08:00:00 +0000',
    id: '<b@x.test>',
  }),
  mail({
    from: ADA,
    to: LIST,
    subject: 'Apples',
    date: 'Sun, 8 Mar 2026 08:00:00 +0000',
    id: '<c@x.test>',
    body: `${'apples and pears\n'.repeat(40)}`,
  }),
  mail({
    from: BOB,
    to: LIST,
    subject: '',
    date: 'Sun, 8 Mar 2026 08:30:00 +0000',
    id: '<d@x.test>',
  }),
  mail({ from: BOB, date: 'Sun, 8 Mar 2026 09:30:00 +0000', id: '<e@x.test>' }),
  // text in wraps: what is searched is what can be read
  mail({
    from: ADA,
    to: BOB,
    subject: '=?iso-8859-1?q?B=FCcher?= und =?utf-8?b?TcOkcno=?=',
    date: 'Mon, 9 Mar 2026 08:00:00 +0000',
    id: '<f@x.test>',
    type: 'multipart/mixed; boundary=b',
    body: [
      'preamble that nobody reads',
      '--b',
      'Content-Type: text/plain; charset=iso-8859-1',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'Stra=DFe nach K=F6ln, soft=',
      'break',
      '--b',
      'Content-Type: text/html; charset=utf-8',
      'Content-Transfer-Encoding: base64',
      '',
      Buffer.from('<p>hidden <b>trea</b>sure</p>').toString('base64'),
      '--b',
      'Content-Type: message/rfc822',
      '',
      'Subject: inner subject',
      'From: inner@example.test',
      '',
      'inner words',
      '--b--',
      '',
    ].join('\n'),
  }),
  // what could not be delivered
  mail({
    from: 'Mail system <postmaster@example.test>',
    to: ADA,
    subject: 'Undelivered',
    date: 'Tue, 10 Mar 2026 08:00:00 +0000',
    id: '<g@x.test>',
    type: 'multipart/report; report-type=delivery-status; boundary=b',
    body: [
      '--b',
      '',
      'It could not be delivered.',
      '--b',
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; mail.example.test',
      '',
      'Final-Recipient: rfc822; nobody@else.test',
      'Action: failed',
      'Status: 5.1.1',
      '--b',
      'Content-Type: text/rfc822-headers',
      '',
      'Subject: undeliverable',
      '--b--',
      '',
    ].join('\n'),
  }),
];
