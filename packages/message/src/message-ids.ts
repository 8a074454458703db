/** Message ids (RFC 5322 §3.6.4) as threads are made of them (RFC 5256 §3): in one writing, however quoted. */
import type { FieldTexts } from './structure.ts';

/** Of one message; a longer list keeps its end, which is nearest to the message. */
const MAX_REFERENCES = 256;
/** In angle brackets, which a quoted string may hold too. */
const BRACKETED = /<((?:[^<>"]|"(?:[^"\\]|\\.)*")*)>/g;
const QUOTED = /"((?:[^"\\]|\\.)*)"/g;

/** Every valid id in a field's text, in order, without brackets and quotes. */
export function messageIds(text: string): string[] {
  const ids: string[] = [];
  for (const [, inner = ''] of text.matchAll(BRACKETED)) {
    const id = inner
      .replace(QUOTED, (_, quoted: string) => quoted.replaceAll(/\\(.)/g, '$1'))
      .trim();
    const at = id.lastIndexOf('@');
    if (at > 0 && at < id.length - 1) ids.push(id);
  }
  return ids;
}

/**
 * The messages that one refers to, its parent last: those of References, or else the first of In-Reply-To.
 * At most 256.
 */
export function readReferences(fields: FieldTexts): string[] {
  const idsOf = (name: string) => messageIds((fields.get(name) ?? []).join(' '));
  const references = idsOf('references').slice(-MAX_REFERENCES);
  return references.length > 0 ? references : idsOf('in-reply-to').slice(0, 1);
}
