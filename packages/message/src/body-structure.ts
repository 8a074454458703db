/**
 * What the MIME fields of one part say, as BODYSTRUCTURE tells it (RFC 9051 §7.5.2, RFC 2045, 2183,
 * 3282, 2557). Data only: how it goes on the wire is imap's.
 */
import { readDelimited } from './addresses.ts';
import type { FieldTexts } from './structure.ts';

/** Name in lower case, value without quotes; RFC 2231 names (`filename*0*`) stay as they are. */
export type Parameter = readonly [name: string, value: string];

export interface Disposition {
  /** "attachment", "inline", in lower case. */
  readonly type: string;
  readonly parameters: readonly Parameter[];
}

/** Text rules as in Envelope. */
export interface PartFields {
  /** Media type in lower case: "text". */
  readonly type: string;
  /** In lower case: "plain". */
  readonly subtype: string;
  readonly parameters: readonly Parameter[];
  /** Content-ID as written, with its angle brackets. */
  readonly id: string | null;
  readonly description: string | null;
  /** Content-Transfer-Encoding in lower case; "7bit" where none is given. */
  readonly encoding: string;
  readonly md5: string | null;
  readonly disposition: Disposition | null;
  /** Content-Language tags. */
  readonly languages: readonly string[];
  readonly location: string | null;
}

export const PART_FIELDS = [
  'content-type',
  'content-id',
  'content-description',
  'content-transfer-encoding',
  'content-md5',
  'content-disposition',
  'content-language',
  'content-location',
] as const;

const MAX_PARAMETERS = 64;
/** Two tokens (RFC 2045 §5.1). */
const MEDIA_TYPE = /^([^\s/]+)\s*\/\s*([^\s/]+)(?:\s|$)/;

/** What a part without a usable Content-Type is (RFC 2045 §5.2, RFC 2046 §5.1.5 for digests). */
export const TEXT_PLAIN = {
  type: 'text',
  subtype: 'plain',
  parameters: [['charset', 'us-ascii']],
} as const;
export const MESSAGE_RFC822 = { type: 'message', subtype: 'rfc822', parameters: [] } as const;

export function readPartFields(
  fields: FieldTexts,
  defaultType: Pick<PartFields, 'type' | 'subtype' | 'parameters'>,
): PartFields {
  const text = (name: string) => fields.get(name)?.[0] || null;
  const encoding = parseValue(text('content-transfer-encoding') ?? '').value;
  return {
    ...(parseContentType(text('content-type') ?? '') ?? defaultType),
    id: text('content-id'),
    description: text('content-description'),
    encoding: encoding.toLowerCase() || '7bit',
    md5: text('content-md5'),
    disposition: parseDisposition(text('content-disposition') ?? ''),
    languages: withoutComments(text('content-language') ?? '')
      .split(',')
      .map((tag) => tag.trim())
      .filter((tag) => tag !== ''),
    location: text('content-location'),
  };
}

/** Undefined where it names no type. What stands behind one, where a semicolon should be, is passed over. */
export function parseContentType(
  text: string,
): Pick<PartFields, 'type' | 'subtype' | 'parameters'> | undefined {
  const { value, parameters } = parseValue(text);
  const [, type, subtype] = MEDIA_TYPE.exec(value.toLowerCase()) ?? [];
  if (type === undefined || subtype === undefined) return undefined;
  return { type, subtype, parameters };
}

function parseDisposition(text: string): Disposition | null {
  const { value, parameters } = parseValue(text);
  const [type = ''] = value.toLowerCase().split(/\s/, 1);
  return type === '' ? null : { type, parameters };
}

/** A blank stands for each comment. */
function withoutComments(text: string): string {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    const open = text.indexOf('(', at);
    if (open === -1) {
      pieces.push(text.slice(at));
      break;
    }
    pieces.push(text.slice(at, open));
    at = readDelimited(text, open, ')').end;
  }
  return pieces.join(' ');
}

/** The text of a name or a value as it is gathered; blanks around it are none of it, unless they are quoted. */
class Item {
  readonly #pieces: string[] = [];
  /** Which pieces are, or lie between, quoted ones: from the first up to behind the last. */
  #quotedFrom = 0;
  #quotedTo = 0;

  add(text: string): void {
    this.#pieces.push(text);
  }

  addQuoted(text: string): void {
    if (this.#quotedTo === 0) this.#quotedFrom = this.#pieces.length;
    this.#pieces.push(text);
    this.#quotedTo = this.#pieces.length;
  }

  text(): string {
    const all = this.#pieces;
    if (this.#quotedTo === 0) return all.join('').trim();
    const before = all.slice(0, this.#quotedFrom).join('').trimStart();
    const quoted = all.slice(this.#quotedFrom, this.#quotedTo).join('');
    return before + quoted + all.slice(this.#quotedTo).join('').trimEnd();
  }
}

/**
 * `value; name=value; name="value"` with comments anywhere (RFC 2045 §5.1). Lenient: what is no parameter
 * is skipped. Each octet is looked at once.
 */
function parseValue(text: string): { value: string; parameters: Parameter[] } {
  let item = new Item();
  let name: string | undefined;
  let value: string | undefined;
  const parameters: Parameter[] = [];

  const endOfItem = () => {
    const text = item.text();
    item = new Item();
    if (value === undefined) value = text;
    else if (name && parameters.length < MAX_PARAMETERS) parameters.push([name, text]);
    name = undefined;
  };

  const plain = /[^;="(]+/y;
  for (let at = 0; at < text.length; ) {
    const character = text[at];
    if (character === '"') {
      const { content, end } = readDelimited(text, at, '"');
      item.addQuoted(content);
      at = end;
    } else if (character === '(') {
      at = readDelimited(text, at, ')').end;
    } else if (character === ';') {
      endOfItem();
      at += 1;
    } else if (character === '=' && value !== undefined && name === undefined) {
      name = item.text().toLowerCase();
      item = new Item();
      at += 1;
    } else {
      plain.lastIndex = at;
      const run = plain.exec(text)?.[0] ?? text.charAt(at);
      item.add(run);
      at += run.length;
    }
  }
  endOfItem();
  return { value: value ?? '', parameters };
}
