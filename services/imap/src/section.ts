/**
 * Where in the raw message a BODY[section] lies (RFC 3501 §6.4.5), by the stored structure; and the
 * choice of header fields. Pure: the octets are read by who fetches.
 */
import type { MessagePart, MessageStructure } from '@mail/message';
import type { Section } from './parser/fetch.ts';
import { encodeAstring } from './response.ts';

/** Octets of the message, `end` exclusive. */
export interface OctetRange {
  readonly start: number;
  readonly end: number;
}

/** Part `number` of a message: a child, or for one without parts its only body (RFC 3501 §6.4.5). */
function partOfMessage(message: MessagePart, number: number): MessagePart | undefined {
  if (message.kind === 'multipart') return message.children[number - 1];
  return number === 1 ? message : undefined;
}

function findPart(root: MessagePart, numbers: readonly number[]): MessagePart | undefined {
  let part: MessagePart | undefined;
  for (const number of numbers) {
    if (part === undefined) part = partOfMessage(root, number);
    else if (part.kind === 'multipart') part = part.children[number - 1];
    else if (part.kind === 'message') part = partOfMessage(part.content, number);
    else return undefined;
    if (part === undefined) return undefined;
  }
  return part;
}

const headerOf = (part: MessagePart): OctetRange => ({
  start: part.headerStart,
  end: part.bodyStart,
});
const bodyOf = (part: MessagePart): OctetRange => ({ start: part.bodyStart, end: part.bodyEnd });

/** Undefined where the message has no such part: answered NIL. */
export function locateSection(
  structure: MessageStructure,
  section: Section,
): OctetRange | undefined {
  let message: MessagePart = structure.root;
  if (section.part.length > 0) {
    const part = findPart(structure.root, section.part);
    if (part === undefined) return undefined;
    if (section.text === 'all') return bodyOf(part);
    if (section.text === 'mime') return headerOf(part);
    // HEADER and TEXT behind a number are those of an embedded message
    if (part.kind !== 'message') return undefined;
    message = part.content;
  }
  switch (section.text) {
    case 'all':
      return { start: 0, end: structure.size };
    case 'text':
      return bodyOf(message);
    default:
      return headerOf(message);
  }
}

const LF = 0x0a;
const COLON = 0x3a;

/**
 * The fields of `header` that are among `names` (or are not), with their continuation lines, and a
 * blank line behind them: what HEADER.FIELDS and HEADER.FIELDS.NOT return.
 */
export function chooseFields(header: Buffer, names: readonly string[], among: boolean): Buffer {
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  const chosen: Buffer[] = [];
  let keep = false;
  for (let start = 0; start < header.length; ) {
    const lineEnd = header.indexOf(LF, start);
    const end = lineEnd === -1 ? header.length : lineEnd + 1;
    const first = header[start];
    // an empty line ends the header
    if (first === LF || (first === 0x0d && header[start + 1] === LF)) break;
    if (first !== 0x20 && first !== 0x09) {
      const colon = header.indexOf(COLON, start);
      const nameEnd = colon === -1 || colon >= end ? end : colon;
      const name = header.toString('latin1', start, nameEnd).trimEnd().toLowerCase();
      keep = wanted.has(name) === among;
    }
    if (keep) chosen.push(header.subarray(start, end));
    start = end;
  }
  chosen.push(Buffer.from('\r\n'));
  return Buffer.concat(chosen);
}

const TEXT_WORDS: Record<Section['text'], string> = {
  all: '',
  header: 'HEADER',
  'header-fields': 'HEADER.FIELDS',
  'header-fields-not': 'HEADER.FIELDS.NOT',
  text: 'TEXT',
  mime: 'MIME',
};

/** A section as it stands between "[" and "]". */
export function renderSection(section: Section): string {
  const words = [...section.part.map(String), TEXT_WORDS[section.text]].filter(
    (word) => word !== '',
  );
  const fields =
    section.fields.length === 0 ? '' : ` (${section.fields.map(encodeAstring).join(' ')})`;
  return words.join('.') + fields;
}
