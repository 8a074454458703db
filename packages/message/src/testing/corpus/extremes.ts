/** Mail that nobody means well with: very long, very many, very deep. Made, since it is large. */
import { type CorpusEntry, mail } from './entry.ts';

const range = (length: number): number[] => Array.from({ length }, (_, at) => at);

export const EXTREMES: readonly CorpusEntry[] = [
  mail('header line of 100 kB', `Subject: ${'x'.repeat(100_000)}\nTo: a@example.test\n\nbody\n`),
  mail(
    'To of 100 kB',
    `To: ${range(3_000).map((at) => `"No. ${at}" <a${at}@example.test>`)}\nSubject: x\n\nbody\n`,
  ),
  mail(
    'To of 100 kB in few addresses',
    `To: ${range(200).map((at) => `"${'Doe, '.repeat(90)}" <a${at}@example.test>`)}\n\nbody\n`,
  ),
  mail(
    '5,000 fields',
    `${range(5_000)
      .map((at) => `X-${at}: y\n`)
      .join('')}Subject: last\n\nbody\n`,
  ),
  mail(
    '200 multiparts deep',
    range(200)
      .map((at) => `Content-Type: multipart/mixed; boundary=b${at}\n\n--b${at}\n`)
      .join(''),
  ),
  mail('200 messages deep', `${'Content-Type: message/rfc822\n\n'.repeat(200)}Subject: x\n\nx\n`),
  mail(
    '3,000 parts',
    `Content-Type: multipart/mixed; boundary=x\n\n${'--x\n\na\n'.repeat(3_000)}--x--\n`,
  ),
  mail(
    '500 parameters',
    `Content-Type: a/b; ${range(500)
      .map((at) => `p${at}=v`)
      .join('; ')}\n\nx\n`,
  ),
  mail(
    '100,000 blanks',
    `Subject: a${' '.repeat(100_000)}b\nContent-Type: a/b${' '.repeat(9_000)};c=d\n\nx\n`,
  ),
  mail(
    'comment 60,000 deep',
    `To: ${'('.repeat(60_000)}\nContent-Type: ${'('.repeat(60_000)}\n\nx\n`,
  ),
];
