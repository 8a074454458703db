import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { readSettingsOf, SECTIONS } from './document-settings.ts';
import { PROCESSES, type ProcessName, serviceEnvironment } from './service-environment.ts';

const root = resolve(import.meta.dirname, '..');

/** Who reads the settings of a section of docs/settings.md. */
function readersOf(heading: string): readonly ProcessName[] {
  if (heading === 'Every process') return PROCESSES;
  if (heading === 'Every mail service') return ['smtp', 'pop', 'imap'];
  return PROCESSES.filter((name) => heading.split(':')[0] === name);
}

/** Every setting that a schema has, to all who read it. */
const readers = new Map<string, Set<ProcessName>>();
for (const [heading, files] of SECTIONS) {
  for (const { name } of files.flatMap((file) =>
    readSettingsOf(readFileSync(join(root, file), 'utf8')),
  )) {
    const known = readers.get(name) ?? new Set();
    readers.set(name, new Set([...known, ...readersOf(heading)]));
  }
}

test('there are settings of every kind', () => {
  expect(readers.size).toBeGreaterThan(60);
  expect([...(readers.get('CONCERT_REGISTRY') ?? [])]).toEqual([...PROCESSES]);
  expect([...(readers.get('CONCERT_REGISTRY_KEY') ?? [])]).toEqual(['cert-registry']);
  expect([...(readers.get('CONCERT_MAX_MESSAGE_SIZE') ?? [])]).toEqual(['smtp', 'imap']);
});

test.each(PROCESSES)('%s gets what it reads, and nothing that only others read', (name) => {
  const all = [...readers.keys()].flatMap((setting) => [setting, `${setting}_FILE`]);
  const given = Object.keys(
    serviceEnvironment(name, Object.fromEntries(all.map((setting) => [setting, 'x']))),
  );
  const wanted = all.filter((setting) => readers.get(setting.replace(/_FILE$/, ''))?.has(name));
  expect(given).toEqual(wanted);
});

test('what is no setting of ours goes to all', () => {
  const environment = { PATH: '/bin', CONCERT_CONFIG: '/etc/concert.env', TZ: 'UTC' };
  for (const name of PROCESSES) expect(serviceEnvironment(name, environment)).toEqual(environment);
});
