/** Reads one folder of a Maildir, message by message. Nothing but plain files is opened. */
import { constants } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CollectedMessage } from './collected-message.ts';
import { isSafeName } from './file-names.ts';
import { MORE_KEYWORDS_FILE } from './maildir-export.ts';
import { flagsOf, KeywordLetters } from './maildir-flags.ts';
import { parseOurName, splitInfo } from './maildir-names.ts';
import type { ArchivedMessage } from './mbox-reader.ts';

/** No symbolic link, and no wait for somebody to write into a pipe. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

interface Entry {
  readonly sub: 'cur' | 'new';
  readonly name: string;
}

/** By the UIDs that they had, else by the time that Maildir names begin with. */
function compareEntries(a: Entry, b: Entry): number {
  const [ours, theirs] = [parseOurName(a.name), parseOurName(b.name)];
  if (ours !== undefined && theirs !== undefined) return ours.uid - theirs.uid;
  const byTime = Number.parseInt(a.name, 10) - Number.parseInt(b.name, 10);
  if (byTime !== 0 && !Number.isNaN(byTime)) return byTime;
  return a.name < b.name ? -1 : 1;
}

async function listFolder(folder: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const sub of ['new', 'cur'] as const) {
    const names = await readdir(join(folder, sub)).catch(() => []);
    for (const name of names) if (!name.startsWith('.')) entries.push({ sub, name });
  }
  return entries.sort(compareEntries);
}

export async function countMaildir(folder: string): Promise<number> {
  return (await listFolder(folder)).length;
}

async function readMoreKeywords(folder: string): Promise<Map<string, string[]>> {
  const text = await readFile(join(folder, MORE_KEYWORDS_FILE), 'utf8').catch(() => '');
  const lines = text.split('\n').map((line) => line.split(' '));
  return new Map(lines.map(([base = '', ...keywords]) => [base, keywords]));
}

/** `failed` is told what cannot be read. */
export async function* readMaildir(
  folder: string,
  failed: (name: string, why: string) => void,
): AsyncGenerator<ArchivedMessage> {
  const keywords = await KeywordLetters.read(folder);
  const moreKeywords = await readMoreKeywords(folder);
  for (const { sub, name } of await listFolder(folder)) {
    const { base, letters } = splitInfo(name);
    const ours = parseOurName(name);
    const stable = ours === undefined ? base : base.slice(0, base.indexOf('.concert') + 8);
    // in new there should be none, and mbsync has them there
    const flags = flagsOf(letters, keywords);
    try {
      const { content, modified } = await readPlainFile(join(folder, sub, name), name);
      yield {
        content,
        flags: [...flags, ...(moreKeywords.get(stable) ?? [])],
        internalDate: ours?.internalDate ?? modified,
        sourceOctets: 1,
        where: name,
      };
    } catch (error) {
      failed(name, error instanceof Error ? reasonOf(error) : String(error));
    }
  }
}

function reasonOf(error: Error): string {
  const code = 'code' in error ? error.code : undefined;
  return code === 'ELOOP' ? 'is a symbolic link, which is not followed' : error.message;
}

async function readPlainFile(
  path: string,
  name: string,
): Promise<{ content: CollectedMessage; modified: Date }> {
  if (!isSafeName(name)) throw new Error('has a name that is not safe');
  const file = await open(path, OPEN_FLAGS);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error('is no plain file');
    const content = new CollectedMessage();
    const piece = Buffer.allocUnsafe(256 * 1024);
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length);
      if (bytesRead === 0) return { content, modified: new Date(Math.round(stats.mtimeMs)) };
      content.add(piece.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}
