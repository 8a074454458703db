/** Writes the tables of metrics in docs/monitoring.md from metric-names.ts: names, kinds, labels and words are its. */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { METRICS, type MetricDefinition } from '@mail/service';

const PAGE = resolve(import.meta.dirname, '../docs/monitoring.md');
const BEGIN = '<!-- metrics: written by scripts/document-metrics.ts -->';
const END = '<!-- end of metrics -->';

/** Heading to what the names of its metrics begin with, in the order of the page; the first that fits counts. */
const SECTIONS: readonly (readonly [string, RegExp])[] = [
  ['Certificate sources, of the registry', /^concert_certificate_source_/],
  ['The certificate in force, of every process', /^concert_(generation|certificate_)/],
  [
    'A mail service as a subscriber',
    /^concert_(registry_(stream|round_trip|clock)|subscriber_|self_probe|identity_)/,
  ],
  ['The registry', /^concert_registry_/],
  ['TLS and connections, of mail services', /^concert_(tls|connections)_/],
  ['Mail', /^concert_(logins|messages|smtp)_/],
  ['The mail store, of mail services', /^concert_store_/],
  ['Every process', /^concert_/],
];

function row({ name, type, labels = [], help }: MetricDefinition): string {
  const shown = labels.map((label) => `\`${label}\``).join(', ');
  return `| \`${name}\` | ${type} | ${shown} | ${help} |`;
}

/** The tables, and nothing else of the page. */
export function metricTables(definitions: readonly MetricDefinition[]): string {
  const sectionOf = ({ name }: MetricDefinition) =>
    SECTIONS.find(([, pattern]) => pattern.test(name))?.[0];
  return SECTIONS.toReversed()
    .flatMap(([heading]) => [
      `### ${heading}`,
      '',
      '| metric | kind | labels | meaning |',
      '| --- | --- | --- | --- |',
      ...definitions.filter((definition) => sectionOf(definition) === heading).map(row),
      '',
    ])
    .join('\n');
}

/** The page with its tables as they should be. */
export function withTables(page: string): string {
  const [before = '', rest = ''] = page.split(BEGIN);
  const [, after = ''] = rest.split(END);
  return `${before}${BEGIN}\n\n${metricTables(Object.values(METRICS))}\n${END}${after}`;
}

if (import.meta.main) writeFileSync(PAGE, withTables(readFileSync(PAGE, 'utf8')));
