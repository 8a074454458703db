/** A folder of a Maildir as another program keeps it: what is in it, and what its owner does to it. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The letters that Maildir has for flags, in the order of a file's name. */
const FLAGS: readonly (readonly [letter: string, flag: string])[] = [
  ['D', '\\Draft'],
  ['F', '\\Flagged'],
  ['R', '\\Answered'],
  ['S', '\\Seen'],
  ['T', '\\Deleted'],
];

interface Found {
  readonly file: string;
  readonly subject: string;
  readonly letters: string;
}

export class MaildirFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  async create(): Promise<void> {
    for (const folder of ['cur', 'new', 'tmp']) {
      await mkdir(join(this.path, folder), { recursive: true });
    }
  }

  /** The names of its files: the same as before means that nobody has touched it. */
  async files(): Promise<string[]> {
    const folders = ['new', 'cur'].map(async (folder) =>
      (await readdir(join(this.path, folder))).map((name) => join(folder, name)),
    );
    return (await Promise.all(folders)).flat().sort();
  }

  /** `subject [flags]` of each message, sorted. */
  async listing(): Promise<string[]> {
    const found = await this.#read();
    return found
      .map(({ subject, letters }) => {
        const flags = FLAGS.filter(([letter]) => letters.includes(letter)).map(([, flag]) => flag);
        return [subject, ...flags.sort()].join(' ');
      })
      .sort();
  }

  /** A new message with flags given by their letters. */
  async add(message: string, letters: string): Promise<void> {
    const name = `${process.hrtime.bigint()}.local:2,${letters}`;
    await writeFile(join(this.path, 'cur', name), message.replaceAll('\r\n', '\n'));
  }

  /** Replaces the flags of a message. */
  async flag(subject: string, letters: string): Promise<void> {
    const { file } = await this.#find(subject);
    const name = file.replace(/^(new|cur)\//, '').replace(/:2,.*$/, '');
    await rename(join(this.path, file), join(this.path, 'cur', `${name}:2,${letters}`));
  }

  async remove(subject: string): Promise<void> {
    const { file } = await this.#find(subject);
    await rm(join(this.path, file));
  }

  async #find(subject: string): Promise<Found> {
    const found = (await this.#read()).find((one) => one.subject === subject);
    if (found === undefined) throw new Error(`no message "${subject}" in ${this.path}`);
    return found;
  }

  async #read(): Promise<Found[]> {
    return Promise.all(
      (await this.files()).map(async (file) => ({
        file,
        subject: /^Subject: (.*?)\r?$/m.exec(await this.#text(file))?.[1] ?? '',
        letters: /:2,([A-Z]*)/.exec(file)?.[1] ?? '',
      })),
    );
  }

  #text(file: string): Promise<string> {
    return readFile(join(this.path, file), 'utf8');
  }
}
