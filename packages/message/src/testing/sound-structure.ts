/** What holds for the structure of any octets. */
import { expect } from 'vitest';
import type { MessagePart, MessageStructure } from '../structure.ts';

/** A part and all that are in it, outermost first. */
export function everyPart(part: MessagePart): MessagePart[] {
  return [part, ...partsIn(part).flatMap(everyPart)];
}

function partsIn(part: MessagePart): readonly MessagePart[] {
  if (part.kind === 'multipart') return part.children;
  return part.kind === 'message' ? [part.content] : [];
}

/** Offsets lie in the message, parts in the parts that hold them, in order and apart. */
export function expectSound({ root, size }: MessageStructure, octets: number): void {
  expect(size).toBe(octets);
  expect(root.headerStart).toBe(0);
  for (const part of everyPart(root)) {
    expect(part.headerStart).toBeGreaterThanOrEqual(0);
    expect(part.bodyStart).toBeGreaterThanOrEqual(part.headerStart);
    expect(part.bodyEnd).toBeGreaterThanOrEqual(part.bodyStart);
    expect(part.bodyEnd).toBeLessThanOrEqual(octets);
    expect(part.lines).toBeGreaterThanOrEqual(0);
    if (part.kind === 'multipart') expect(part.children.length).toBeGreaterThan(0);
    let least = part.bodyStart;
    for (const child of partsIn(part)) {
      expect(child.headerStart).toBeGreaterThanOrEqual(least);
      expect(child.bodyEnd).toBeLessThanOrEqual(part.bodyEnd);
      least = child.bodyEnd;
    }
  }
}
