/** Reading the files that certificates come in, within the registry's limits. */
import { open } from 'node:fs/promises';
import { CliError } from './errors.ts';

/** As ImportCertificateRequest allows. */
const MAX_FILES = 16;
const MAX_TOTAL_BYTES = 256 * 1024;

async function readAtMost(path: string, most: number): Promise<Buffer> {
  try {
    await using file = await open(path);
    const buffer = Buffer.alloc(most + 1);
    let size = 0;
    while (size < buffer.length) {
      const { bytesRead } = await file.read(buffer, size);
      if (bytesRead === 0) break;
      size += bytesRead;
    }
    return buffer.subarray(0, size);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    const why: Record<string, string> = {
      ENOENT: 'there is no such file',
      EACCES: 'this user may not read it',
      EISDIR: 'it is a folder',
    };
    throw new CliError('usage', `cannot read ${path}: ${why[code] ?? code}`, { cause: error });
  }
}

/** The contents of `paths`. Throws CliError (usage). */
export async function readCertificateFiles(paths: readonly string[]): Promise<Buffer[]> {
  if (paths.length > MAX_FILES) {
    throw new CliError('usage', `at most ${MAX_FILES} files go into one certificate`);
  }
  const blobs: Buffer[] = [];
  let left = MAX_TOTAL_BYTES;
  for (const path of paths) {
    const blob = await readAtMost(path, left);
    left -= blob.length;
    if (left < 0)
      throw new CliError('usage', `the files are larger than 256 KiB together (${path})`);
    blobs.push(blob);
  }
  return blobs;
}

/** The first line of a file that holds a passphrase. Throws CliError (usage). */
export async function readPassphraseFile(path: string): Promise<string> {
  const text = (await readAtMost(path, 4 * 1024)).toString('utf8');
  return text.split(/\r?\n/, 1)[0] ?? '';
}
