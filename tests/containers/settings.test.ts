/** Every setting can be made in .env: docker-compose.yml passes it on, and .env.example names it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../testing/system.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const text = read('docker-compose.yml');
const { services } = parse(text, { merge: true }) as {
  services: Record<string, { environment?: Record<string, string | null> }>;
};

/** What compose decides itself, or what has no meaning in a container. */
const NOT_FOR_OPERATORS = [
  'CONCERT_ADMIN_LISTEN',
  'CONCERT_CONFIG',
  'CONCERT_DATA',
  'CONCERT_IDENTITIES',
  'CONCERT_IDENTITY',
  'CONCERT_INSTANCE',
  'CONCERT_REGISTRY',
  'CONCERT_REGISTRY_HOSTS',
  'CONCERT_REGISTRY_IDENTITIES',
  'CONCERT_REGISTRY_LISTEN',
  'CONCERT_SHUTDOWN_DELAY',
  'CONCERT_SMTP_LISTENERS',
  'CONCERT_POP_LISTENERS',
  'CONCERT_IMAP_LISTENERS',
  // of the files in deploy/compose
  'CONCERT_ACME_HTTP_LISTEN',
  'CONCERT_FOLDER_PATH',
];

/** Which containers a section of docs/settings.md speaks of. */
const READERS: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^Every process/, ['cert-registry', 'smtp', 'pop', 'imap']],
  [/^Every mail service/, ['smtp', 'pop', 'imap']],
  [/^cert-registry/, ['cert-registry']],
  [/^smtp/, ['smtp']],
  [/^pop/, ['pop']],
  [/^imap/, ['imap']],
];

/** One process whatever it says. */
const ONE_PROCESS = ['cert-registry CONCERT_WORKERS'];

test('each container is given the settings that it reads', () => {
  const missing: string[] = [];
  for (const section of read('docs/settings.md').split(/^## /m).slice(1)) {
    const [, readers = undefined] = READERS.find(([heading]) => heading.test(section)) ?? [];
    expect([section.split('\n')[0], readers !== undefined]).toEqual([section.split('\n')[0], true]);
    for (const [, name = ''] of section.matchAll(/^\| `(CONCERT_[A-Z_0-9]+)`/gm)) {
      if (NOT_FOR_OPERATORS.includes(name)) continue;
      for (const service of readers ?? []) {
        if (!(name in (services[service]?.environment ?? {}))) missing.push(`${service} ${name}`);
      }
    }
  }
  expect(missing.filter((one) => !ONE_PROCESS.includes(one))).toEqual([]);
});

test('.env.example names every variable of the compose files, and no other', () => {
  const extra = readdirSync(join(ROOT, 'deploy/compose'))
    .filter((name) => name.endsWith('.yml'))
    .map((name) => read(`deploy/compose/${name}`));
  const used = new Set<string>();
  for (const file of [text, ...extra]) {
    for (const [, name = ''] of file.matchAll(/\$\{([A-Z_0-9]+)/g)) used.add(name);
  }
  for (const { environment = {} } of Object.values(services)) {
    for (const [name, value] of Object.entries(environment)) if (value === null) used.add(name);
  }
  const named = Array.from(read('.env.example').matchAll(/^#?([A-Z_0-9]+)=/gm), ([, name]) => name);
  expect([...new Set(named)].sort()).toEqual([...used, 'COMPOSE_PROFILES'].sort());
});
