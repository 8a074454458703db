/** A file that is written from some place on, and can be taken back to it. */
import { type FileHandle, open } from 'node:fs/promises';

const LF = 0x0a;
const CR = 0x0d;

export class OutputFile {
  readonly #file: FileHandle;
  #position: number;
  /** LFs without a CR in front, from where writing began. */
  bareLineEnds = 0;
  #lastOctet = 0;

  private constructor(file: FileHandle, position: number) {
    this.#file = file;
    this.#position = position;
  }

  /** For its owner alone; what lies behind `position` goes. */
  static async open(path: string, position = 0): Promise<OutputFile> {
    const file = await open(path, position === 0 ? 'w' : 'r+', 0o600);
    await file.truncate(position);
    return new OutputFile(file, position);
  }

  get position(): number {
    return this.#position;
  }

  async write(octets: Uint8Array): Promise<void> {
    for (const octet of octets) {
      if (octet === LF && this.#lastOctet !== CR) this.bareLineEnds += 1;
      this.#lastOctet = octet;
    }
    for (let at = 0; at < octets.length; ) {
      const { bytesWritten } = await this.#file.write(octets, at, undefined, this.#position);
      at += bytesWritten;
      this.#position += bytesWritten;
    }
  }

  async backTo(position: number): Promise<void> {
    await this.#file.truncate(position);
    this.#position = position;
    this.bareLineEnds = 0;
    this.#lastOctet = 0;
  }

  /** On the disk when it resolves. */
  sync(): Promise<void> {
    return this.#file.datasync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
