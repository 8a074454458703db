/** Address lists (RFC 5322 §3.4, §4.4, RFC 6532), the obsolete and the broken included. */
import { type CorpusEntry, mail } from './entry.ts';

const list = (name: string, to: string): CorpusEntry =>
  mail(name, `From: ada@example.test\nTo: ${to}\n\nx\n`);

export const ADDRESSES: readonly CorpusEntry[] = [
  list('plain addresses', 'bob@example.test, <carol@example.test>, Dave <dave@example.test>'),
  list(
    'names in quotes',
    '"Doe, John" <j@example.test>, "say \\"hi\\"" <h@example.test>, "" <e@a.test>',
  ),
  list(
    'names of several words',
    'John  Q.\tPublic <j@example.test>, A.B. "C D" E <e@example.test>',
  ),
  list('names as words', '=?utf-8?q?J=C3=BCrgen?= <j@example.test>, =?utf-8?q?a=2C?= b <b@a.test>'),
  list('names as comments', 'j@example.test (John Doe), (before) k@example.test'),
  list(
    'comment behind the brackets',
    '<j@example.test> (John Doe), Kay <k@example.test> (not her)',
  ),
  list(
    'comments everywhere',
    '(a) John (b) Doe (c) < (d) j (e) @ (f) example (g (h)) . test (i) > (j)',
  ),
  list('group', 'Friends: bob@example.test, Carol <carol@example.test>;, dave@example.test'),
  list('empty groups', 'undisclosed-recipients:;, "no one, really": ;'),
  list('group that is never closed', 'Friends: bob@example.test'),
  list('group in a group', 'A: b@example.test, C: d@example.test;;'),
  list('group name of nothing', ': bob@example.test;'),
  list('routes', '<@a.test,@b.test:c@example.test>, Dave <@a.test:d@example.test>'),
  list('quoted local parts', '"john doe"@example.test, "a@b"@example.test, <"q\\"q"@example.test>'),
  list('address literals', 'a@[127.0.0.1], <b@[IPv6:2001:db8::1]>'),
  list('no domain', 'root, <admin>, Bob <bob>, carol@'),
  list('no local part', '@example.test, <@example.test>'),
  list('no address in the brackets', '<>, Bob <>'),
  list('brackets that are never closed', '<bob@example.test, Carol <carol@example.test'),
  list('brackets that are never opened', 'bob@example.test>, carol@example.test'),
  list('brackets twice', 'Bob <<bob@example.test>>, a@example.test <b@example.test>'),
  list(
    'quote that is never closed',
    'bob@example.test, "Carol <carol@example.test>, dave@example.test',
  ),
  list('semicolons between', 'a@example.test; b@example.test; Carol <c@example.test>'),
  list('nothing between', 'Bob <bob@example.test> Carol <carol@example.test>'),
  list('commas and nothing else', ', ,, ,'),
  list('dots and blanks', 'john . doe @ example . test, a..b@example.test, .c@example.test'),
  list('addresses in UTF-8', 'J\xc3\xbcrgen <j\xc3\xbcrgen@ex\xc3\xa4mple.test>'),
  list('folded list', 'bob@example.test,\n Carol\n <carol@example.test>,\n\tdave@example.test'),
  list('long list', Array.from({ length: 300 }, (_, at) => `a${at}@example.test`).join(',\n ')),
];
