import { readFileSync } from 'node:fs';
import { METRICS, type MetricDefinition } from '@mail/service';
import { expect, test } from 'vitest';
import { metricTables, withTables } from './document-metrics.ts';

const definitions: readonly MetricDefinition[] = Object.values(METRICS);

test('docs/monitoring.md says what metric-names.ts says', () => {
  const page = readFileSync(new URL('../docs/monitoring.md', import.meta.url), 'utf8');
  // if not: node scripts/document-metrics.ts
  expect(page).toBe(withTables(page));
});

test('every metric is in one table', () => {
  const tables = metricTables(definitions);
  for (const { name } of definitions) expect(tables.split(`| \`${name}\` `)).toHaveLength(2);
});

test.each(definitions)('$name is named as Prometheus wants it', (definition) => {
  const { name, type, help, labels = [] } = definition;
  expect(name).toMatch(/^concert_[a-z][a-z_]*[a-z]$/);
  expect(name.endsWith('_total')).toBe(type === 'counter');
  if (type === 'histogram') expect(name).toMatch(/_seconds$/);
  // what a scraper adds by itself
  for (const label of labels) {
    expect(['job', 'instance', 'service', 'pod', 'namespace', 'container']).not.toContain(label);
  }
  expect(help).toMatch(/^[A-Z].*\.$/);
});
