/** Text in the charsets of the world (RFC 2045 §6, RFC 2046 §4.1.2), and what it says. */
import { type CorpusEntry, mail } from './entry.ts';

export interface CharsetEntry extends CorpusEntry {
  /** Text of the body, without line ends. */
  readonly text: string;
}

function body(name: string, charset: string, encoding: string, octets: string, text: string) {
  const type = `text/plain${charset === '' ? '' : `; charset=${charset}`}`;
  const header = `Subject: ${name}\nContent-Type: ${type}\nContent-Transfer-Encoding: ${encoding}\n\n`;
  return { ...mail(name, `${header}${octets}\n`), text };
}

export const CHARSETS: readonly CharsetEntry[] = [
  body('utf-8 as it is', 'utf-8', '8bit', 'Gr\xc3\xbc\xc3\x9fe', 'Grüße'),
  body('utf-8 in quoted-printable', '"UTF-8"', 'Quoted-Printable', 'Gr=C3=BC=\n=c3=9Fe', 'Grüße'),
  body('utf-8 in base64', 'utf-8', 'base64', 'R3LDvM\nOfZQ==', 'Grüße'),
  body('utf-8 that says nothing', '', '8bit', 'Gr\xc3\xbc\xc3\x9fe', 'Grüße'),
  body('utf-8 that says us-ascii', 'us-ascii', '8bit', 'Gr\xc3\xbc\xc3\x9fe', 'Grüße'),
  body('utf-8 that is cut', 'utf-8', '8bit', 'Gr\xc3\xbc\xc3', 'Grü\ufffd'),
  body('utf-7', 'utf-7', '7bit', 'Gr+APwA3w-e +- +ZeVnLIqe-', 'Grüße + 日本語'),
  body('utf-16 in base64', 'utf-16le', 'base64', 'RwByAPwA3wBlAA==', 'Grüße'),
  body('utf-16 with a mark', 'utf-16', 'base64', '/v8ARwByAPwA3wBl', 'Grüße'),
  body('utf-16 without a mark', 'UTF-16', 'base64', 'AEcAcgD8AN8AZQ==', 'Grüße'),
  body('utf-32', 'utf-32be', 'base64', 'AAAARwAAAHIAAAD8', 'Grü'),
  body('code page 437', 'cp437', '8bit', 'Gr\x81\xe1e', 'Grüße'),
  body('code page 850', 'IBM850', 'quoted-printable', 'Gr=81=E1e', 'Grüße'),
  body('macintosh', 'macintosh', '8bit', 'Gr\x9f\xa7e', 'Grüße'),
  body('thai', 'tis-620', '8bit', '\xe4\xb7\xc2', 'ไทย'),
  body('greek', 'iso-8859-7', '8bit', '\xc5\xeb\xeb\xdc\xf2', 'Ελλάς'),
  body('hebrew', 'iso-8859-8-i', '8bit', '\xf9\xec\xe5\xed', 'שלום'),
  body('windows japanese', 'cp932', '8bit', '\x93\xfa\x96{\x8c\xea', '日本語'),
  body('name with underscores', 'iso8859_15', '8bit', '\xa4 5', '€ 5'),
  body('base64 is no charset', 'base64', '8bit', 'R3LDvA==', 'R3LDvA=='),
  body('latin-1', 'iso-8859-1', '8bit', 'Gr\xfc\xdfe', 'Grüße'),
  body('latin-1 that says nothing', '', '8bit', 'Gr\xfc\xdfe', 'Grüße'),
  body('latin-9', 'ISO-8859-15', 'quoted-printable', '=A4 5', '€ 5'),
  body('windows-1252', 'windows-1252', 'quoted-printable', '=93It=92s=94', '“It’s”'),
  body('windows-1252 that says latin-1', 'iso-8859-1', '8bit', '\x93It\x92s\x94', '“It’s”'),
  body('koi8-r', 'koi8-r', '8bit', '\xf0\xd2\xc9\xd7\xc5\xd4', 'Привет'),
  body('windows-1251', 'windows-1251', '8bit', '\xcf\xf0\xe8\xe2\xe5\xf2', 'Привет'),
  body('iso-2022-jp', 'ISO-2022-JP', '7bit', '\x1b$BF|K\\8l\x1b(B', '日本語'),
  body('shift-jis', 'shift_jis', '8bit', '\x93\xfa\x96{\x8c\xea', '日本語'),
  body('euc-jp', 'euc-jp', '8bit', '\xc6\xfc\xcb\xdc\xb8\xec', '日本語'),
  body('euc-kr', 'ks_c_5601-1987', '8bit', '\xc7\xd1\xb1\xb9', '한국'),
  body('gb18030', 'gb18030', '8bit', '\xd6\xd0\xce\xc4\x81\x30\x89\x38', '中文ß'),
  body('gb2312', 'gb2312', 'base64', '1tDOxA==', '中文'),
  body('big5', 'big5', '8bit', '\xa4\xa4\xa4\xe5', '中文'),
  body('unknown charset', 'x-unheard-of', '8bit', 'Gr\xc3\xbc\xc3\x9fe', 'Grüße'),
  body('charset of nonsense', '"; =?"', '8bit', 'Gr\xfc\xdfe', 'Grüße'),
];
