import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCertificateFiles, readPassphraseFile } from './certificate-files.ts';
import { CliError } from './errors.ts';

const TOTAL_BYTES = 256 * 1024;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'concert-files-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(contents: readonly Uint8Array[]): Promise<string[]> {
  const paths = contents.map((_, index) => join(folder, `${index}.pem`));
  await Promise.all(contents.map((content, index) => writeFile(paths[index] ?? '', content)));
  return paths;
}

/** Sizes around the limit are what is interesting, not what stands in the files. */
const contents = fc.array(
  fc
    .tuple(
      fc.oneof(
        fc.integer({ min: 0, max: 64 }),
        fc.integer({ min: TOTAL_BYTES / 2 - 1, max: TOTAL_BYTES / 2 + 1 }),
        fc.integer({ min: TOTAL_BYTES - 65, max: TOTAL_BYTES + 1 }),
      ),
      fc.integer({ min: 0, max: 255 }),
    )
    .map(([size, octet]) => Buffer.alloc(size, octet)),
  { maxLength: 18 },
);

test('files come back octet for octet, or are refused as too many or too large', async () => {
  await fc.assert(
    fc.asyncProperty(contents, async (files) => {
      const total = files.reduce((sum, file) => sum + file.length, 0);
      const reading = readCertificateFiles(await write(files));
      if (files.length <= 16 && total <= TOTAL_BYTES) {
        expect(Buffer.concat(await reading).equals(Buffer.concat(files))).toBe(true);
        return;
      }
      await expect(reading).rejects.toMatchObject({
        code: 'usage',
        message: expect.stringMatching(files.length > 16 ? /^at most 16 files/ : /256 KiB/),
      });
    }),
    { numRuns: 60 },
  );
});

test('whatever the path, what is thrown is a CliError that names it', async () => {
  const path = fc.oneof(
    fc.string(),
    fc.constantFrom('.', '', '/', '\0', 'a\0b', 'x'.repeat(5_000)),
  );
  await fc.assert(
    fc.asyncProperty(path, async (name) => {
      const missing = join(folder, 'nowhere', name);
      const error = await readCertificateFiles([missing]).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(CliError);
      expect(error).toMatchObject({ code: 'usage', message: expect.stringContaining(missing) });
    }),
  );
});

test('a passphrase is the first line, whatever ends it and whatever follows', async () => {
  const line = fc
    .string({ unit: 'grapheme', maxLength: 60 })
    .filter((text) => !/[\r\n]/.test(text));
  await fc.assert(
    fc.asyncProperty(
      line,
      fc.constantFrom('', '\n', '\r\n'),
      fc.string(),
      async (first, end, rest) => {
        const [path = ''] = await write([Buffer.from(end === '' ? first : first + end + rest)]);
        expect(await readPassphraseFile(path)).toBe(first);
      },
    ),
  );
});
