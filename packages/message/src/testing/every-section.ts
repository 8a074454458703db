/** Every section that a message has (RFC 9051 §6.4.5.1), with the octets that it names. */
import { findMessage, findPart } from '../sections.ts';
import type { MessagePart, MessageStructure } from '../structure.ts';

export interface NamedSection {
  /** As it stands between "[" and "]": "2.1.MIME". */
  readonly section: string;
  readonly octets: Buffer;
}

type Path = readonly number[];

/** Numbers of all parts that lie in a message whose own path is `path`. */
function* pathsIn(message: MessagePart, path: Path): Generator<Path> {
  if (message.kind === 'multipart') yield* pathsOfChildren(message.children, path);
  else yield* pathsOfPart(message, [...path, 1]);
}

function* pathsOfChildren(children: readonly MessagePart[], path: Path): Generator<Path> {
  for (const [at, child] of children.entries()) yield* pathsOfPart(child, [...path, at + 1]);
}

function* pathsOfPart(part: MessagePart, path: Path): Generator<Path> {
  yield path;
  if (part.kind === 'message') yield* pathsIn(part.content, path);
  if (part.kind === 'multipart') yield* pathsOfChildren(part.children, path);
}

export function everySection(raw: Buffer, structure: MessageStructure): NamedSection[] {
  const found: NamedSection[] = [];
  const say = (path: Path, word: string, part: MessagePart, of: 'header' | 'body') => {
    const section = [...path, word].filter((item) => item !== '').join('.');
    const [start, end] =
      of === 'header' ? [part.headerStart, part.bodyStart] : [part.bodyStart, part.bodyEnd];
    found.push({ section, octets: raw.subarray(start, end) });
  };
  const sayMessage = (path: Path) => {
    const message = findMessage(structure, path);
    if (message === undefined) return;
    say(path, 'HEADER', message, 'header');
    say(path, 'TEXT', message, 'body');
  };
  sayMessage([]);
  for (const path of pathsIn(structure.root, [])) {
    const part = findPart(structure, path);
    if (part === undefined) throw new Error(`no part ${path.join('.')}`);
    say(path, 'MIME', part, 'header');
    say(path, '', part, 'body');
    sayMessage(path);
  }
  return found;
}
