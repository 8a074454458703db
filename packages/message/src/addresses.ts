/**
 * Address lists (RFC 5322 §3.4, obsolete forms of §4.4 included): mailboxes, groups, routes, comments,
 * quoted strings. Lenient: whatever is written gives some list, in linear time.
 */
import type { EnvelopeAddress } from './envelope.ts';

type Token =
  /** Quoted strings are atoms without their quotes. */
  | { readonly kind: 'atom'; readonly text: string; readonly spaced: boolean }
  | { readonly kind: 'comment'; readonly text: string }
  | {
      readonly kind: 'special';
      readonly text: string;
      readonly spaced: boolean;
      /** Where it stands in the whole text. */
      readonly at: number;
    };

type Word = Exclude<Token, { kind: 'comment' }>;

const MAX_ADDRESSES = 1_000;

/** Of longer lists the first 1,000 items, and the end of a group that they leave open. */
export function parseAddressList(text: string): EnvelopeAddress[] {
  const found: EnvelopeAddress[] = [];
  let words: Word[] = [];
  let comment: string | null = null;
  let inGroup = false;

  const flush = () => {
    if (words.length > 0) found.push(bareAddress(words, comment));
    words = [];
    comment = null;
  };

  const tokens = tokenize(text);
  for (let token = tokens.next().value; token; token = tokens.next().value) {
    if (found.length >= MAX_ADDRESSES) break;
    if (token.kind === 'comment') {
      comment = token.text;
    } else if (token.kind === 'atom') {
      words.push(token);
    } else if (token.text === ',' || token.text === ';') {
      flush();
      if (token.text === ';' && inGroup) {
        found.push({ kind: 'group-end' });
        inGroup = false;
      }
    } else if (token.text === ':' && !words.some(isAt)) {
      // groups do not nest: one that begins ends the one before
      if (inGroup) found.push({ kind: 'group-end' });
      found.push({ kind: 'group-start', name: phrase(words) });
      words = [];
      comment = null;
      inGroup = true;
    } else if (token.text === '<') {
      const address = angleAddress(tokens, phrase(words) || null);
      if (address) found.push(address);
      words = [];
    } else if (token.text !== '>') {
      words.push(token);
    }
  }
  if (found.length < MAX_ADDRESSES) flush();
  if (inGroup) found.push({ kind: 'group-end' });
  return found;
}

/** The beginning of a list as far as its addresses are whole, where the rest of the text was cut off. */
export function wholeAddresses(text: string): string {
  let end = 0;
  let inBrackets = false;
  for (const token of tokenize(text)) {
    if (token.kind !== 'special') continue;
    if (token.text === '<') inBrackets = true;
    else if (token.text === '>') inBrackets = false;
    else if (/^[,;]$/.test(token.text) && !inBrackets) end = token.at + 1;
  }
  return text.slice(0, end);
}

/** `alice@example.test (Alice)`: a comment was the name once, and still is with some. */
function bareAddress(words: readonly Word[], comment: string | null): EnvelopeAddress {
  return { kind: 'mailbox', name: comment || null, route: null, ...splitAddress(words) };
}

/** `<...>` up to its end: an optional route, then the address. Nothing for an empty one without name. */
function angleAddress(
  tokens: Iterator<Token, undefined>,
  name: string | null,
): EnvelopeAddress | undefined {
  let words: Word[] = [];
  let route: string | null = null;
  for (let token = tokens.next().value; token; token = tokens.next().value) {
    if (token.kind === 'comment') continue;
    if (token.kind === 'special' && token.text === '>') break;
    const inRoute = route === null && words[0] !== undefined && isAt(words[0]);
    if (token.kind === 'special' && token.text === ':' && inRoute) {
      route = joined(words);
      words = [];
      continue;
    }
    // the bracket was never closed: the next address begins
    if (token.kind === 'special' && /^[,;]$/.test(token.text) && !inRoute) break;
    if (token.kind === 'special' && token.text === '<') words = [];
    else words.push(token);
  }
  if (words.length === 0 && name === null) return undefined;
  return { kind: 'mailbox', name, route, ...splitAddress(words) };
}

function splitAddress(words: readonly Word[]): { mailbox: string; host: string } {
  const at = words.findLastIndex(isAt);
  if (at < 0) return { mailbox: localPart(words), host: '' };
  return { mailbox: localPart(words.slice(0, at)), host: joined(words.slice(at + 1)) };
}

/** The blanks that may stand around a dot are none of it (§4.4: obs-local-part). */
function localPart(words: readonly Word[]): string {
  const isDot = (word: Word | undefined) => word?.kind === 'special' && word.text === '.';
  return phrase(
    words.map((word, at) =>
      isDot(word) || isDot(words[at - 1]) ? { ...word, spaced: false } : word,
    ),
  );
}

function isAt(word: Word): boolean {
  return word.kind === 'special' && word.text === '@';
}

function joined(words: readonly Word[]): string {
  return words.map(({ text }) => text).join('');
}

/** Words with one blank where there were any, none around dots and the like. */
function phrase(words: readonly Word[]): string {
  return words
    .map(({ text, spaced }, at) => (spaced && at > 0 ? ` ${text}` : text))
    .join('')
    .trim();
}

/** Each octet is looked at once. */
function* tokenize(text: string): Generator<Token, undefined> {
  const pattern = /([ \t]+)|([<>:;,@.])|[^ \t<>:;,@."([]+/gy;
  let at = 0;
  let spaced = false;
  while (at < text.length) {
    const first = text[at];
    if (first === '"') {
      const { content, end } = readDelimited(text, at, '"');
      yield { kind: 'atom', text: content, spaced };
      at = end;
    } else if (first === '(') {
      const { content, end } = readDelimited(text, at, ')');
      yield { kind: 'comment', text: content.trim() };
      at = end;
      spaced = true;
      continue;
    } else if (first === '[') {
      const close = text.indexOf(']', at);
      const end = close < 0 ? text.length : close + 1;
      yield { kind: 'atom', text: text.slice(at, end), spaced };
      at = end;
    } else {
      pattern.lastIndex = at;
      const [whole = first ?? '', blank, special] = pattern.exec(text) ?? [];
      at += whole.length;
      if (blank !== undefined) {
        spaced = true;
        continue;
      }
      if (special === undefined) yield { kind: 'atom', text: whole, spaced };
      else yield { kind: 'special', text: whole, spaced, at: at - whole.length };
    }
    spaced = false;
  }
  return undefined;
}

/**
 * A quoted string or a comment (comments nest) from its opening at `at`, without the outer marks and
 * backslashes; what is never closed reaches to the end.
 */
export function readDelimited(
  text: string,
  at: number,
  close: '"' | ')',
): { content: string; end: number } {
  let depth = 1;
  let content = '';
  let from = at + 1;
  for (let here = from; here < text.length; here += 1) {
    const character = text[here];
    if (character === '\\') {
      content += text.slice(from, here);
      from = here + 1;
      here += 1;
    } else if (character === close) {
      depth -= 1;
      if (depth === 0) return { content: content + text.slice(from, here), end: here + 1 };
    } else if (character === '(' && close === ')') {
      depth += 1;
    }
  }
  return { content: content + text.slice(from), end: text.length };
}
