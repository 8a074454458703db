/** Every setting can be made in .env: docker-compose.yml passes it on, and .env.example names it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../testing/system.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const text = read('docker-compose.yml');
const { services, secrets } = parse(text, { merge: true }) as {
  services: Record<string, Service>;
  secrets: Record<string, { file: string }>;
};

interface Service {
  readonly image: string;
  readonly build?: object;
  readonly pull_policy?: string;
  readonly profiles?: readonly string[];
  readonly environment?: Record<string, string | null>;
  readonly secrets?: readonly string[];
}

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

/** What `docker inspect` must not show: it comes from a file, and from that alone. */
const SECRETS = [
  'CONCERT_ACME_DNS_TSIG_KEY',
  'CONCERT_ACME_EAB_HMAC_KEY',
  'CONCERT_FOLDER_PASSPHRASE',
  'CONCERT_NOTIFY_SMTP_PASSWORD',
  'CONCERT_NOTIFY_WEBHOOK_SECRET',
  'CONCERT_OIDC_CLIENT_SECRET',
  'CONCERT_REGISTRY_KEY',
  'CONCERT_STORE_PASSWORD',
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
        const given = SECRETS.includes(name) ? `${name}_FILE` : name;
        if (!(given in (services[service]?.environment ?? {}))) missing.push(`${service} ${given}`);
      }
    }
  }
  expect(missing.filter((one) => !ONE_PROCESS.includes(one))).toEqual([]);
});

test('no secret is in an environment; each is a file of this host that .env names', () => {
  const given: string[] = [];
  for (const [service, { environment = {}, secrets: mounted = [] }] of Object.entries(services)) {
    const names = Object.keys(environment);
    expect([service, names.filter((name) => SECRETS.includes(name))]).toEqual([service, []]);
    for (const name of names.filter((each) => /^CONCERT_.*_FILE$/.test(each))) {
      const [, secret = ''] =
        /^\$\{(?:\w+):\+\/run\/secrets\/(.*)\}$/.exec(environment[name] ?? '') ?? [];
      expect(environment[name]).toBe(`\${${name}:+/run/secrets/${secret}}`);
      expect(secrets[secret]?.file).toBe(`\${${name}:-/dev/null}`);
      expect(mounted).toContain(secret);
      given.push(name.replace(/_FILE$/, ''));
    }
  }
  expect([...new Set(given)].sort()).toEqual(SECRETS);
});

test('each image is built by one service and pulled by none, under a name that no registry has', () => {
  const { postgres: _, ...ours } = services;
  const builders: string[] = [];
  for (const { image, build, pull_policy, profiles } of Object.values(ours)) {
    expect(image).toMatch(/^\$\{CONCERT_IMAGES:-localhost\/concert\}\/[a-z-]+:/);
    expect(pull_policy).toMatch(/:-never\}$/);
    // a profile that is off is left out of `up --build`, and its image stays old
    expect(profiles).toBeUndefined();
    if (build !== undefined) builders.push(image);
  }
  expect(builders.sort()).toEqual(
    [...new Set(Object.values(ours).map(({ image }) => image))].sort(),
  );
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
