/** GETMETADATA and SETMETADATA (RFC 5464 §5). */
import type { Lexer } from './lexer.ts';
import { parseMailbox, parseOneMailbox } from './mailbox.ts';
import { parseEntries, parseEntry, parseValuedEntry } from './metadata-entry.ts';

/** How many levels below a named entry are asked for as well. */
export type Depth = 0 | 1 | 'infinity';

interface Options {
  readonly depth: Depth;
  /** Octets of the largest value that is wanted; undefined for any. */
  readonly maxSize: number | undefined;
}

export interface GetMetadataArguments extends Options {
  /** Empty for the server's annotations. */
  readonly mailbox: string;
  /** In lower case. */
  readonly entries: readonly string[];
}

const NO_OPTIONS: Options = { depth: 0, maxSize: undefined };

function parseDepth(lexer: Lexer): Depth {
  if (lexer.accept('0')) return 0;
  if (lexer.accept('1')) return 1;
  lexer.expect('INFINITY');
  return 'infinity';
}

function parseOption(lexer: Lexer, options: Options): Options {
  if (lexer.accept('DEPTH ')) return { ...options, depth: parseDepth(lexer) };
  if (lexer.accept('MAXSIZE ')) return { ...options, maxSize: lexer.number() };
  return lexer.fail('Unknown GETMETADATA option');
}

/** A list of entries, or one of options, which begin otherwise. */
function parseList(lexer: Lexer): { entries: string[]; options: Options } {
  const entries: string[] = [];
  let options: Options | undefined;
  lexer.filledList(() => {
    const isEntry = ['/', '"', '{'].includes(lexer.peek());
    if (isEntry ? options !== undefined : entries.length > 0) lexer.fail('Options among entries');
    if (isEntry) entries.push(parseEntry(lexer));
    else options = parseOption(lexer, options ?? NO_OPTIONS);
  });
  return { entries, options: options ?? NO_OPTIONS };
}

function parseOptions(lexer: Lexer): Options {
  const { entries, options } = parseList(lexer);
  return entries.length > 0 ? lexer.fail('Expected options') : options;
}

/** Options stand before the mailbox in the grammar, and behind it in the examples: both are read. */
export function parseGetMetadata(lexer: Lexer): GetMetadataArguments {
  lexer.space();
  let options = lexer.peek() === '(' ? parseOptions(lexer) : undefined;
  if (options !== undefined) lexer.space();
  const mailbox = parseMailbox(lexer);
  lexer.space();
  if (lexer.peek() === '(') {
    const list = parseList(lexer);
    if (list.entries.length > 0)
      return { mailbox, entries: list.entries, ...(options ?? NO_OPTIONS) };
    if (options !== undefined) lexer.fail('Options twice');
    options = list.options;
    lexer.space();
  }
  return { mailbox, entries: parseEntries(lexer), ...(options ?? NO_OPTIONS) };
}

export interface SetMetadataArguments {
  /** Empty for the server's annotations. */
  readonly mailbox: string;
  /** Undefined, NIL on the wire, removes. */
  readonly values: readonly (readonly [entry: string, value: Buffer | undefined])[];
}

/** nstring, or literal8. */
function parseValue(lexer: Lexer): Buffer | undefined {
  if (lexer.peek() === '~') return Buffer.concat(lexer.literal8Pieces());
  const value = lexer.nstring();
  return value === undefined ? undefined : Buffer.from(value, 'latin1');
}

export function parseSetMetadata(lexer: Lexer): SetMetadataArguments {
  const mailbox = parseOneMailbox(lexer);
  lexer.space();
  const values = lexer.filledList((): [string, Buffer | undefined] => {
    const entry = parseValuedEntry(lexer);
    lexer.space();
    return [entry, parseValue(lexer)];
  });
  return { mailbox, values };
}
