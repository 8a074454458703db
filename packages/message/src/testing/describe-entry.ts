/** How a message of the corpus stands in the golden files: all that IMAP tells of it, a line each. */
import { ImapStrings } from '../imap-strings.ts';
import { renderBodyStructure, renderEnvelope } from '../rendering.ts';
import { parseMessage } from '../structure.ts';
import type { CorpusEntry } from './corpus/entry.ts';
import { everySection } from './every-section.ts';

const REV1 = { strings: new ImapStrings(false), rev2: false };
const REV2 = { strings: new ImapStrings(true), rev2: true };
/** Of longer lines the middle is left out, of more sections the last ones. */
const MAX_CHARS = 2_000;
const MAX_SECTIONS = 40;

function short(text: string): string {
  if (text.length <= MAX_CHARS) return text;
  const half = MAX_CHARS / 4;
  return `${text.slice(0, half)} [... of ${text.length} ...] ${text.slice(-half)}`;
}

/** In one line. */
function line(label: string, text: string): string {
  return short(`${label} ${text.replaceAll('\r\n', '\\r\\n')}`);
}

export function describeEntry({ name, raw }: CorpusEntry): string {
  const structure = parseMessage(raw);
  const { envelope, root } = structure;
  const lines = [
    `## ${name}`,
    line('ENVELOPE', renderEnvelope(envelope, REV1.strings)),
    line('BODYSTRUCTURE', renderBodyStructure(root, REV1)),
  ];
  const decoded = renderBodyStructure(root, REV2);
  if (decoded !== renderBodyStructure(root, REV1)) lines.push(line('IMAP4rev2', decoded));
  for (const { section, octets } of everySection(raw, structure).slice(0, MAX_SECTIONS)) {
    lines.push(line(`[${section}]`, JSON.stringify(octets.toString('latin1'))));
  }
  return `${lines.join('\n')}\n`;
}
