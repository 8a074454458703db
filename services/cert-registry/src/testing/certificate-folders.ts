/** Folders as the programs that renew certificates write them. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Leaf } from './test-ca.ts';

type PemParts = Pick<Leaf, 'cert' | 'chain' | 'key'>;

/** In the order in which certbot replaces them. */
const PARTS = ['cert', 'privkey', 'chain', 'fullchain'] as const;
type Part = (typeof PARTS)[number];

/** certbot's: links in live/ to numbered files in archive/, replaced one by one. */
export class CertbotFolder {
  readonly live: string;
  readonly #archive: string;

  constructor(folder: string, lineage = 'example.org') {
    this.live = join(folder, 'live', lineage);
    this.#archive = join(folder, 'archive', lineage);
    mkdirSync(this.live, { recursive: true });
    mkdirSync(this.#archive, { recursive: true });
    writeFileSync(join(this.live, 'README'), 'This directory contains your keys and certificates.');
  }

  /** New files, which nothing links to yet. */
  archive({ cert, key, chain }: PemParts, number: number): void {
    const texts = { cert, privkey: key, chain, fullchain: cert + chain };
    for (const part of PARTS) {
      const mode = part === 'privkey' ? 0o600 : 0o644;
      writeFileSync(join(this.#archive, `${part}${number}.pem`), texts[part], { mode });
    }
  }

  link(part: Part, number: number): void {
    const path = join(this.live, `${part}.pem`);
    rmSync(path, { force: true });
    symlinkSync(
      join('../../archive', this.live.split('/').at(-1) ?? '', `${part}${number}.pem`),
      path,
    );
  }

  linkAll(number: number): void {
    for (const part of PARTS) this.link(part, number);
  }
}

/** A Secret as the kubelet mounts it: the files are links through `..data`, which is swapped at once. */
export class SecretFolder {
  readonly path: string;
  #version = 0;

  constructor(path: string) {
    this.path = path;
    for (const name of ['tls.crt', 'tls.key', 'ca.crt']) {
      symlinkSync(`..data/${name}`, join(path, name));
    }
  }

  publish({ cert, key, chain }: PemParts, authority: string): void {
    this.#version += 1;
    const data = `..2026_11_24_10_00_00.${this.#version}`;
    mkdirSync(join(this.path, data));
    writeFileSync(join(this.path, data, 'tls.crt'), cert + chain);
    writeFileSync(join(this.path, data, 'tls.key'), key);
    writeFileSync(join(this.path, data, 'ca.crt'), authority);
    symlinkSync(data, join(this.path, '..data_tmp'));
    renameSync(join(this.path, '..data_tmp'), join(this.path, '..data'));
    rmSync(join(this.path, `..2026_11_24_10_00_00.${this.#version - 1}`), {
      recursive: true,
      force: true,
    });
  }
}
