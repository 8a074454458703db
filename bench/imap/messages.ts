/**
 * Mail as people have it, made from a seed: message `number` is the same octets in every run and for every
 * server. About 4 KB each, as plain text, alternatives, or text with an attachment, in threads, with the
 * header fields that relays, lists and signers leave behind.
 */

/** Octets of a message, a line more or less. */
const MESSAGE_OCTETS = 4_096;
/** Words of the language that the mail is written in; a few are used often, most are rare. */
const VOCABULARY = 20_000;
const FIRST_DATE = Date.UTC(2024, 0, 1, 8);
const LAST_BEFORE_NEXT_MS = 11 * 60_000;

/** No syllable has an h or an x: these come where they are put, and nowhere else. */
const SYLLABLES =
  'ba be bi bo da de di do ga ge go ka ke ki ko la le li lo ma me mi mo na ne ni no pa pe pi po ra re ri ro sa se si so ta te ti to va ve vi vo'.split(
    ' ',
  );
/** In the text of one message of a hundred. */
export const HIT_IN_TEXT = 'heliotrope';
/** In the subject of one message of twenty. */
export const HIT_IN_SUBJECT = 'hexameter';
/** Nowhere. */
export const MISS = 'xylograph';

export const hasTextHit = (number: number): boolean => number % 100 === 37;
export const hasSubjectHit = (number: number): boolean => number % 20 === 11;

/** Numbers in [0, 1) from a seed (mulberry32). */
type Draw = () => number;

function drawFrom(seed: number): Draw {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const below = (draw: Draw, limit: number): number => Math.floor(draw() * limit);

function wordOf(rank: number): string {
  let word = '';
  for (let rest = rank + 1; rest > 0; rest = Math.floor(rest / SYLLABLES.length)) {
    word += SYLLABLES[rest % SYLLABLES.length];
  }
  return word;
}

const drawWord = (draw: Draw): string => wordOf(Math.floor(VOCABULARY * draw() ** 4));

function drawWords(draw: Draw, count: number): string {
  return Array.from({ length: count }, () => drawWord(draw)).join(' ');
}

function drawAddress(draw: Draw): string {
  const [first, last] = [wordOf(below(draw, 400)), wordOf(500 + below(draw, 400))];
  const mailbox = `${first}.${last}@${wordOf(below(draw, 60))}.example`;
  switch (below(draw, 4)) {
    case 0:
      return mailbox;
    case 1:
      return `"${last}, ${first}" <${mailbox}>`;
    case 2:
      return `=?utf-8?q?${first}_M=C3=BC${last}?= <${mailbox}>`;
    default:
      return `${first} ${last} <${mailbox}>`;
  }
}

const idOf = (number: number): string =>
  `<${number}.${wordOf(number % 977)}@mail.${wordOf(number % 59)}.example>`;

/** RFC 5322 §3.3, and RFC 9051's date-time for APPEND. */
const dateOf = (number: number): Date => new Date(FIRST_DATE + number * LAST_BEFORE_NEXT_MS);
const rfc5322 = (date: Date): string => date.toUTCString().replace('GMT', '+0000');

export function internalDateOf(number: number): string {
  const [, day, month, year, time] = dateOf(number).toUTCString().split(' ');
  return `${day}-${month}-${year} ${time} +0000`;
}

/** Lines of running text up to `octets`. */
function paragraphs(draw: Draw, octets: number): string[] {
  const lines: string[] = [];
  for (let left = octets; left > 0; ) {
    const line = below(draw, 9) === 0 ? '' : drawWords(draw, 8 + below(draw, 4));
    lines.push(line);
    left -= line.length + 2;
  }
  return lines;
}

function base64Lines(draw: Draw, octets: number): string[] {
  const content = Buffer.from(
    Array.from({ length: Math.ceil((octets * 3) / 4) }, () => below(draw, 256)),
  );
  return content.toString('base64').match(/.{1,76}/g) ?? [];
}

function header(draw: Draw, number: number): string[] {
  const date = rfc5322(dateOf(number));
  // a thread has up to eight messages
  const root = number - (number % 8);
  const reply = number !== root;
  const words = drawWords(drawFrom(root), 3 + (root % 4));
  const topic = hasSubjectHit(number) ? `${words} ${HIT_IN_SUBJECT}` : words;
  const to = Array.from({ length: 1 + below(draw, 4) }, () => drawAddress(draw));
  const relays = Array.from({ length: 2 + below(draw, 2) }, (_, hop) => [
    `Received: from relay${hop}.${drawWord(draw)}.example (relay${hop}.example [192.0.2.${below(draw, 250)}])`,
    `\tby mx.example.test with ESMTPS id ${below(draw, 2 ** 31).toString(36)}; ${date}`,
  ]);
  return [
    `Return-Path: <bounce-${number}@${drawWord(draw)}.example>`,
    ...relays.flat(),
    `DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=${drawWord(draw)}.example; s=one;`,
    ...base64Lines(draw, 256).map((line) => `\t${line}`),
    `Date: ${date}`,
    `From: ${drawAddress(draw)}`,
    `To: ${to.join(',\r\n\t')}`,
    ...(number % 5 === 0 ? [`Cc: ${drawAddress(draw)}`] : []),
    `Subject: ${reply ? 'Re: ' : ''}${number % 17 === 0 ? `=?utf-8?q?Gr=C3=BC=C3=9Fe?= ${topic}` : topic}`,
    `Message-ID: ${idOf(number)}`,
    ...(reply ? [`In-Reply-To: ${idOf(number - 1)}`, `References: ${idOf(root)}`] : []),
    ...(number % 7 === 0 ? [`List-Id: <${drawWord(draw)}.lists.example>`] : []),
    'MIME-Version: 1.0',
  ];
}

const TEXT_TYPES = [
  ['Content-Type: text/plain; charset=us-ascii', 'Content-Transfer-Encoding: 7bit'],
  ['Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: quoted-printable'],
  ['Content-Type: text/plain; charset=utf-8; format=flowed', 'Content-Transfer-Encoding: 8bit'],
] as const;

function text(draw: Draw, number: number, octets: number): string[] {
  const fields = TEXT_TYPES[number % TEXT_TYPES.length] ?? TEXT_TYPES[0];
  const greeting = ['Good day,', 'Sch=C3=B6ne Gr=C3=BC=C3=9Fe,', 'Schöne Grüße,'];
  const hit = hasTextHit(number) ? [`${drawWord(draw)} ${HIT_IN_TEXT} ${drawWord(draw)}`] : [];
  const lines = paragraphs(draw, octets);
  const middle = lines.length / 2;
  return [
    ...fields,
    '',
    greeting[number % greeting.length] ?? '',
    ...lines.slice(0, middle),
    ...hit,
    ...lines.slice(middle),
  ];
}

function body(draw: Draw, number: number, octets: number): string[] {
  const boundary = `=_part_${number}_${below(draw, 2 ** 31)}`;
  switch (number % 10) {
    case 0:
    case 3:
    case 6:
      return [
        `Content-Type: multipart/alternative; boundary="${boundary}"`,
        '',
        `--${boundary}`,
        ...text(draw, number, octets * 0.4),
        `--${boundary}`,
        'Content-Type: text/html; charset=utf-8',
        'Content-Transfer-Encoding: quoted-printable',
        '',
        '<html><body>',
        ...paragraphs(draw, octets * 0.4).map((line) => `<p class=3D"t">${line}</p>`),
        '</body></html>',
        `--${boundary}--`,
      ];
    case 4:
    case 8:
      return [
        `Content-Type: multipart/mixed; boundary="${boundary}"`,
        '',
        'This is a message in several parts.',
        `--${boundary}`,
        ...text(draw, number, octets * 0.4),
        `--${boundary}`,
        `Content-Type: application/pdf; name="${drawWord(draw)}.pdf"`,
        'Content-Transfer-Encoding: base64',
        `Content-Disposition: attachment; filename="${drawWord(draw)}.pdf"`,
        '',
        ...base64Lines(draw, octets * 0.4),
        `--${boundary}--`,
      ];
    default:
      return text(draw, number, octets);
  }
}

/** Message `number`, from 0. */
export function messageNumber(number: number): Buffer {
  const draw = drawFrom(number);
  const fields = header(draw, number);
  const octets = MESSAGE_OCTETS - fields.join('\r\n').length - 150;
  return Buffer.from(`${[...fields, ...body(draw, number, octets)].join('\r\n')}\r\n`);
}

/** A message of a few lines, for mailboxes that are measured by how many they hold. */
export function shortMessage(number: number): Buffer {
  const draw = drawFrom(number);
  return Buffer.from(
    `${[
      `Date: ${rfc5322(dateOf(number))}`,
      `From: ${drawAddress(draw)}`,
      `To: ${drawAddress(draw)}`,
      `Subject: ${drawWords(draw, 4)}`,
      `Message-ID: ${idOf(number)}`,
      '',
      drawWords(draw, 8),
    ].join('\r\n')}\r\n`,
  );
}
