/**
 * Reads the watched folder: the files that certificates and keys come in, all of one moment, or why that
 * cannot be had. What they say is folder-pair.ts's, whether they stand still folder-watch.ts's.
 *
 * Files are found by stat and not by events, which network file systems, bind mounts and Secrets do not
 * send. Links are followed, as certbot and Kubernetes swap those. Nothing here waits for a writer: what is
 * no regular file is passed over.
 */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { constants, lstat, open, opendir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface FolderFile {
  readonly name: string;
  readonly content: Buffer;
}

export type Sight =
  /** `key` tells contents apart, whatever the files are called and when they were touched. */
  | { readonly kind: 'content'; readonly key: string; readonly files: readonly FolderFile[] }
  /** Nothing has changed since the look before; the files were not opened. */
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'empty'; readonly detail: string }
  | { readonly kind: 'problem'; readonly detail: string }
  /** It changed while it was read. */
  | { readonly kind: 'moving' };

/** What an import takes as well. */
const MAX_FILES = 16;
const MAX_BYTES = 256 * 1024;
/** Of any name. */
const MAX_ENTRIES = 1_000;
/** File systems tell writes in one tick of their clock not apart: what is younger is read again. */
const TICK_MS = 10_000;

/** What a network file system may take. */
const ANSWER_MS = 10_000;

/** Neither hidden files, such as editors' and the `..data` of a Secret, nor names that writers rename. */
const FILE_NAME = /^[^.].*\.(?:pem|crt|cer|key|pfx|p12)$/i;

interface FoundFile {
  readonly name: string;
  readonly size: number;
  /** Changes with whatever is written, replaced or linked. */
  readonly signature: string;
}

interface Listing {
  readonly files: readonly FoundFile[];
  readonly passedOver: readonly string[];
}

/** Ends a look. */
class Ended extends Error {
  readonly sight: Sight;

  constructor(sight: Sight) {
    super(sight.kind);
    this.sight = sight;
  }
}

export class FolderReader {
  readonly #path: string;
  /** Monotonic, milliseconds. */
  readonly #now: () => number;
  #underWay: Promise<Sight> | undefined;
  #seen: { readonly signature: string; readonly since: number } | undefined;

  constructor(path: string, now: () => number) {
    this.#path = path;
    this.#now = now;
  }

  /**
   * `trusting`: what is known needs no second reading while its files look the same. Answers in time even
   * where the file system does not; throws nothing of the file system's.
   */
  async look(trusting: boolean): Promise<Sight> {
    const { promise: late, resolve } = Promise.withResolvers<Sight>();
    const silent: Sight = { kind: 'problem', detail: `${this.#path} does not answer` };
    const timer = setTimeout(resolve, ANSWER_MS, silent);
    try {
      return await Promise.race([this.#joinOrLook(trusting), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #joinOrLook(trusting: boolean): Promise<Sight> {
    // nothing ends a call to a server that is gone, and a second one would hang as well
    this.#underWay ??= this.#look(trusting).finally(() => {
      this.#underWay = undefined;
    });
    const sight = await this.#underWay;
    // one that trusted what was known is no answer to who does not
    return sight.kind === 'unchanged' && !trusting ? this.#joinOrLook(false) : sight;
  }

  async #look(trusting: boolean): Promise<Sight> {
    try {
      return await this.#read(trusting);
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      this.#seen = undefined;
      return error.sight;
    }
  }

  async #read(trusting: boolean): Promise<Sight> {
    const { files, passedOver } = await this.#list();
    const signature = signatureOf(files);
    if (this.#seen?.signature !== signature) this.#seen = { signature, since: this.#now() };
    else if (trusting && this.#now() - this.#seen.since > TICK_MS) return { kind: 'unchanged' };
    if (files.length === 0) {
      const others = passedOver.length === 0 ? '' : ` (passed over: ${passedOver.join(', ')})`;
      return { kind: 'empty', detail: `${this.#path} holds no certificate yet${others}` };
    }
    const read: FolderFile[] = [];
    for (const file of files) read.push({ name: file.name, content: await this.#readFile(file) });
    // all of one moment: a link that was swapped between two files shows here
    if (signatureOf((await this.#list()).files) !== signature) return { kind: 'moving' };
    return { kind: 'content', key: keyOf(read), files: read };
  }

  /** Files of size 0 are left out: an issuer that is none, or one that somebody has begun to write. */
  async #list(): Promise<Listing> {
    const files: FoundFile[] = [];
    const passedOver: string[] = [];
    for (const name of await this.#names()) {
      const stats = await this.#stat(name);
      if (!stats.isFile()) passedOver.push(`${name}, which is no file`);
      else if (stats.size > 0n)
        files.push({ name, size: Number(stats.size), signature: sign(stats) });
    }
    if (files.length > MAX_FILES) {
      throw problem(`${this.#path} holds ${files.length} certificate files; at most ${MAX_FILES}`);
    }
    if (files.reduce((sum, { size }) => sum + size, 0) > MAX_BYTES) {
      throw problem(
        `the certificate files in ${this.#path} are over ${MAX_BYTES / 1024} KiB together`,
      );
    }
    return { files, passedOver: passedOver.slice(0, 3) };
  }

  async #names(): Promise<string[]> {
    const names: string[] = [];
    let entries = 0;
    try {
      for await (const { name } of await opendir(this.#path)) {
        entries += 1;
        if (entries > MAX_ENTRIES) {
          throw problem(
            `${this.#path} holds over ${MAX_ENTRIES} files; give certificates their own`,
          );
        }
        if (FILE_NAME.test(name)) names.push(name);
      }
    } catch (error) {
      throw this.#explain(error, undefined);
    }
    return names.sort();
  }

  async #stat(name: string): Promise<BigIntStats> {
    const path = join(this.#path, name);
    try {
      return await stat(path, { bigint: true });
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw this.#explain(error, name);
      const link = await lstat(path).catch(() => undefined);
      if (!link?.isSymbolicLink()) throw new Ended({ kind: 'moving' });
      const target = await readlink(path).catch(() => '');
      throw problem(
        `${name} in ${this.#path} is a link to ${target}, which is not there; where the folder is mounted, mount what it links to as well`,
      );
    }
  }

  async #readFile({ name, size, signature }: FoundFile): Promise<Buffer> {
    // a FIFO that has taken the file's place meanwhile would keep us waiting for a writer
    const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
    let file: Awaited<ReturnType<typeof open>>;
    try {
      file = await open(join(this.#path, name), flags);
    } catch (error) {
      throw this.#explain(error, name);
    }
    try {
      if (sign(await file.stat({ bigint: true })) !== signature)
        throw new Ended({ kind: 'moving' });
      const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(size), position: 0 });
      if (bytesRead < size) throw new Ended({ kind: 'moving' });
      return buffer;
    } catch (error) {
      throw this.#explain(error, name);
    } finally {
      await file.close();
    }
  }

  #explain(error: unknown, name: string | undefined): unknown {
    const code = codeOf(error);
    if (error instanceof Ended || code === undefined) return error;
    const what = name === undefined ? this.#path : `${name} in ${this.#path}`;
    switch (code) {
      case 'ENOENT':
        return name === undefined
          ? problem(`${what} does not exist`)
          : new Ended({ kind: 'moving' });
      case 'ENOTDIR':
        return problem(`${what} is no folder`);
      case 'ELOOP':
        return problem(`${what} is a link that leads to itself`);
      case 'EACCES':
      case 'EPERM':
        return problem(
          `${what} may not be read by this process, which runs as ${user()}; give its group the right (chgrp, chmod g+r), or have a deploy hook copy the files to a folder of its own`,
        );
      default:
        return problem(`${what} cannot be read: ${code}`);
    }
  }
}

function problem(detail: string): Ended {
  return new Ended({ kind: 'problem', detail });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

function user(): string {
  const uid = process.getuid?.();
  return uid === undefined ? 'another user' : `uid ${uid}`;
}

function sign({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

function signatureOf(files: readonly FoundFile[]): string {
  return files.map(({ name, signature }) => `${name} ${signature}`).join('\n');
}

function keyOf(files: readonly FolderFile[]): string {
  const hashes = files.map(({ content }) => createHash('sha256').update(content).digest('hex'));
  return createHash('sha256')
    .update([...new Set(hashes)].sort().join())
    .digest('hex');
}
