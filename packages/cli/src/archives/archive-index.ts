/**
 * The index beside exported mailboxes: which file or folder is which mailbox, what it is used for. Other
 * programs leave it alone, and where there is none names say what they can.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from '../errors.ts';
import { foldName, freeName, isSafeName } from './file-names.ts';

export const INDEX_FILE = 'concert-mailboxes.json';

export interface IndexedMailbox {
  readonly mailbox: string;
  /** Of a file or folder, in the folder of the index. */
  readonly name: string;
  readonly uidValidity: number;
  readonly specialUse: string | null;
  readonly subscribed: boolean;
}

function isIndexed(value: unknown): value is IndexedMailbox {
  const entry = value as Partial<Record<keyof IndexedMailbox, unknown>> | null;
  return (
    typeof entry === 'object' &&
    entry !== null &&
    typeof entry.mailbox === 'string' &&
    typeof entry.name === 'string' &&
    (entry.name === '' || isSafeName(entry.name)) &&
    typeof entry.uidValidity === 'number' &&
    typeof entry.subscribed === 'boolean' &&
    (entry.specialUse === null || typeof entry.specialUse === 'string')
  );
}

export class ArchiveIndex {
  readonly #path: string;
  readonly #byMailbox: Map<string, IndexedMailbox>;

  private constructor(path: string, entries: readonly IndexedMailbox[]) {
    this.#path = path;
    this.#byMailbox = new Map(entries.map((entry) => [entry.mailbox, entry]));
  }

  /** Empty where there is none. Throws CliError (usage) for a file that is no index. */
  static async read(folder: string): Promise<ArchiveIndex> {
    const path = join(folder, INDEX_FILE);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
        return new ArchiveIndex(path, []);
      }
      throw error;
    }
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      parsed = undefined;
    }
    if (!Array.isArray(parsed) || !parsed.every(isIndexed)) {
      throw new CliError('usage', `${path} is no index of exported mailboxes`);
    }
    return new ArchiveIndex(path, parsed);
  }

  get empty(): boolean {
    return this.#byMailbox.size === 0;
  }

  entryOf(name: string): IndexedMailbox | undefined {
    return [...this.#byMailbox.values()].find((entry) => entry.name === name);
  }

  nameOf(mailbox: string): string | undefined {
    return this.#byMailbox.get(mailbox)?.name;
  }

  /** The name that the mailbox has here already, or `wanted` or one like it that is free. */
  place(mailbox: Omit<IndexedMailbox, 'name'>, wanted: string): string {
    const known = this.#byMailbox.get(mailbox.mailbox)?.name;
    const taken = new Set([...this.#byMailbox.values()].map(({ name }) => foldName(name)));
    const name = known ?? freeName(wanted, mailbox.mailbox, taken);
    this.#byMailbox.set(mailbox.mailbox, { ...mailbox, name });
    return name;
  }

  /** At once or not at all. */
  async write(): Promise<void> {
    const text = `${JSON.stringify([...this.#byMailbox.values()], undefined, 2)}\n`;
    await replaceFile(this.#path, text);
  }
}

/** Whoever reads the file finds the old text or the new one. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
