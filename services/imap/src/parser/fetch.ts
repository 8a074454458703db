/** What FETCH asks for (RFC 3501 §6.4.5, RFC 9051 §6.4.5, §9: fetch, fetch-att, section). Pure. */
import { ImapSyntaxError } from '../errors.ts';
import type { Lexer } from './lexer.ts';
import { MAX_PART_LEVELS } from './limits.ts';
import { type PartialRange, parsePartialRange } from './partial.ts';
import { type MessageSet, parseMessageSet } from './sequence-set.ts';

/** What of a part: all of it, its header, ... `mime` is a part's own header (RFC 3501 §6.4.5). */
export type SectionText =
  | 'all'
  | 'header'
  | 'header-fields'
  | 'header-fields-not'
  | 'text'
  | 'mime';

export interface Section {
  /** Part numbers from the outside; empty is the message itself. */
  readonly part: readonly number[];
  readonly text: SectionText;
  /** Names for header-fields and header-fields-not, as asked; empty otherwise. */
  readonly fields: readonly string[];
}

/** Octets `offset` up to `offset + count` of a section, as it is sent. */
export interface Partial {
  readonly offset: number;
  readonly count: number;
}

/** How an answer names a section: as BODY[...], or as one of rev1's three older names. */
export type SectionLabel = 'BODY' | 'RFC822' | 'RFC822.HEADER' | 'RFC822.TEXT';

export interface SectionItem {
  readonly kind: 'section';
  readonly label: SectionLabel;
  readonly section: Section;
  readonly partial: Partial | undefined;
  /** Whether \Seen is left alone. */
  readonly peek: boolean;
}

/** A part without its transfer encoding. */
export interface BinaryItem {
  readonly kind: 'binary';
  /** As in Section. */
  readonly part: readonly number[];
  readonly partial: Partial | undefined;
  readonly peek: boolean;
}

/** How many octets BINARY would send. */
export interface BinarySizeItem {
  readonly kind: 'binary-size';
  readonly part: readonly number[];
}

const PLAIN_ITEMS = {
  FLAGS: 'flags',
  INTERNALDATE: 'internal-date',
  'RFC822.SIZE': 'size',
  ENVELOPE: 'envelope',
  BODYSTRUCTURE: 'body-structure',
  BODY: 'body',
  UID: 'uid',
  EMAILID: 'email-id',
  THREADID: 'thread-id',
  MODSEQ: 'modseq',
  SAVEDATE: 'save-date',
  PREVIEW: 'preview',
} as const;

export type PlainItem = { readonly kind: (typeof PLAIN_ITEMS)[keyof typeof PLAIN_ITEMS] };
/** What is answered by reading the message itself. */
export type ContentItem = SectionItem | BinaryItem | BinarySizeItem;
export type FetchItem = PlainItem | ContentItem;

export interface FetchArguments {
  readonly set: MessageSet;
  readonly items: readonly FetchItem[];
  /** Only what has changed since (RFC 7162 §3.1.4). */
  readonly changedSince: number | undefined;
  /** And which of the set have been expunged since (§3.2.6). */
  readonly vanished: boolean;
  /** Only this page of the set (RFC 9394 §3.3). */
  readonly partial: PartialRange | undefined;
}

const section = (label: SectionLabel, text: SectionText, peek: boolean): SectionItem => ({
  kind: 'section',
  label,
  section: { part: [], text, fields: [] },
  partial: undefined,
  peek,
});

const OLD_ITEMS: ReadonlyMap<string, SectionItem> = new Map([
  ['RFC822', section('RFC822', 'all', false)],
  ['RFC822.HEADER', section('RFC822.HEADER', 'header', true)],
  ['RFC822.TEXT', section('RFC822.TEXT', 'text', false)],
]);

const FAST: readonly FetchItem[] = [{ kind: 'flags' }, { kind: 'internal-date' }, { kind: 'size' }];
const ALL: readonly FetchItem[] = [...FAST, { kind: 'envelope' }];
const MACROS: ReadonlyMap<string, readonly FetchItem[]> = new Map([
  ['FAST', FAST],
  ['ALL', ALL],
  ['FULL', [...ALL, { kind: 'body' }]],
]);

const SECTION_TEXTS: ReadonlyMap<string, SectionText> = new Map([
  ['', 'all'],
  ['HEADER', 'header'],
  ['HEADER.FIELDS', 'header-fields'],
  ['HEADER.FIELDS.NOT', 'header-fields-not'],
  ['TEXT', 'text'],
  ['MIME', 'mime'],
]);

/** Takes the numbers of a part off the front of `words`. */
function takePart(words: string[]): number[] {
  const part: number[] = [];
  while (/^[1-9]\d{0,8}$/.test(words[0] ?? '')) part.push(Number(words.shift()));
  if (part.length > MAX_PART_LEVELS) throw new ImapSyntaxError('too-deep', 'Part number too deep');
  return part;
}

/** What stands between "[" and "]" of BODY, the latter included. */
function parseSection(lexer: Lexer): Section {
  const words = lexer.itemName().split('.', MAX_PART_LEVELS + 4);
  const part = takePart(words);
  const text = SECTION_TEXTS.get(words.join('.'));
  // "BODY[1.]" leaves one empty word behind, "BODY[]" is one empty word
  const dangling = words.length === 1 && words[0] === '' && part.length > 0;
  if (text === undefined || dangling || (text === 'mime' && part.length === 0)) {
    return lexer.fail('Bad section');
  }
  let fields: string[] = [];
  if (text === 'header-fields' || text === 'header-fields-not') {
    lexer.space();
    fields = lexer.filledList(() => lexer.astring());
  }
  lexer.expect(']');
  return { part, text, fields };
}

/** What stands between "[" and "]" of BINARY, the latter included: section-binary. */
function parseBinaryPart(lexer: Lexer): number[] {
  const name = lexer.itemName();
  const words = name.split('.', MAX_PART_LEVELS + 1);
  const part = name === '' ? [] : takePart(words);
  if (name !== '' && words.length > 0) return lexer.fail('Bad section');
  lexer.expect(']');
  return part;
}

function parsePartial(lexer: Lexer): Partial | undefined {
  if (!lexer.accept('<')) return undefined;
  const offset = lexer.number64();
  lexer.expect('.');
  const count = lexer.number64();
  if (count === 0) lexer.fail('Expected a number above zero');
  lexer.expect('>');
  return { offset, count };
}

/** fetch-att; none of its macros. */
export function parseFetchItem(lexer: Lexer): FetchItem {
  const name = lexer.itemName();
  if ((name === 'BODY' || name === 'BODY.PEEK') && lexer.accept('[')) {
    return {
      kind: 'section',
      label: 'BODY',
      section: parseSection(lexer),
      partial: parsePartial(lexer),
      peek: name === 'BODY.PEEK',
    };
  }
  if (name === 'BINARY' || name === 'BINARY.PEEK') {
    lexer.expect('[');
    const part = parseBinaryPart(lexer);
    return { kind: 'binary', part, partial: parsePartial(lexer), peek: name === 'BINARY.PEEK' };
  }
  if (name === 'BINARY.SIZE') {
    lexer.expect('[');
    return { kind: 'binary-size', part: parseBinaryPart(lexer) };
  }
  const old = OLD_ITEMS.get(name);
  if (old !== undefined) return old;
  // all previews are made when they are asked for, and soon (RFC 8970 §3.2)
  if (name === 'PREVIEW') lexer.accept(' (LAZY)');
  if (!Object.hasOwn(PLAIN_ITEMS, name)) return lexer.fail('Unknown FETCH item');
  return { kind: PLAIN_ITEMS[name as keyof typeof PLAIN_ITEMS] };
}

/** Each once: one answer has room for many large ones, and none is worth more for being repeated. */
export function withoutRepeated(items: readonly FetchItem[]): FetchItem[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}

function parseItems(lexer: Lexer): readonly FetchItem[] {
  if (lexer.peek() === '(') return withoutRepeated(lexer.filledList(() => parseFetchItem(lexer)));
  for (const [name, items] of MACROS) if (lexer.accept(name)) return items;
  return [parseFetchItem(lexer)];
}

/** "(" modifiers ")", in any order (RFC 4466 §2.4). */
function parseModifiers(lexer: Lexer): Omit<FetchArguments, 'set' | 'items'> {
  let changedSince: number | undefined;
  let partial: PartialRange | undefined;
  let vanished = false;
  const argument = <T>(known: T | undefined, read: () => T): T => {
    if (known !== undefined) lexer.fail('The same FETCH modifier twice');
    lexer.space();
    return read();
  };
  if (lexer.accept(' ')) {
    lexer.filledList(() => {
      if (lexer.accept('CHANGEDSINCE'))
        changedSince = argument(changedSince, () => lexer.number64());
      else if (lexer.accept('PARTIAL')) partial = argument(partial, () => parsePartialRange(lexer));
      else if (lexer.accept('VANISHED')) vanished = true;
      else lexer.fail('Unknown FETCH modifier');
    });
  }
  if (vanished && changedSince === undefined) lexer.fail('VANISHED goes with CHANGEDSINCE');
  return { changedSince, vanished, partial };
}

export function parseFetch(lexer: Lexer): FetchArguments {
  lexer.space();
  const set = parseMessageSet(lexer);
  lexer.space();
  const items = parseItems(lexer);
  return { set, items, ...parseModifiers(lexer) };
}
