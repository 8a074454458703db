/**
 * Where in the raw message a BODY[section] lies (RFC 3501 §6.4.5), by the stored structure, and how a
 * section is written. Pure: the octets are read by who fetches.
 */
import { findMessage, findPart, type MessageStructure } from '@mail/message';
import type { Section } from './parser/fetch.ts';
import { ASCII_STRINGS } from './strings.ts';

/** Octets of the message, `end` exclusive. */
export interface OctetRange {
  readonly start: number;
  readonly end: number;
}

/** Undefined where the message has no such part: answered NIL. */
export function locateSection(
  structure: MessageStructure,
  { part: path, text }: Section,
): OctetRange | undefined {
  if (text === 'all' && path.length === 0) return { start: 0, end: structure.size };
  const ofPart = text === 'all' || text === 'mime';
  const part = ofPart ? findPart(structure, path) : findMessage(structure, path);
  if (part === undefined) return undefined;
  return text === 'all' || text === 'text'
    ? { start: part.bodyStart, end: part.bodyEnd }
    : { start: part.headerStart, end: part.bodyStart };
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
export function renderSection({ part, text, fields }: Section): string {
  const words = [...part.map(String), TEXT_WORDS[text]].filter((word) => word !== '');
  const names =
    fields.length === 0
      ? ''
      : ` (${fields.map((field) => ASCII_STRINGS.astring(field)).join(' ')})`;
  return words.join('.') + names;
}
