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

type Row = readonly [string, string, string, string];
const HEAD: Row = ['metric', 'kind', 'labels', 'meaning'];

function rowOf({ name, type, labels = [], help }: MetricDefinition): Row {
  return [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(', '), help];
}

/** Columns as wide as their widest cell, as the formatter of the page wants them. */
function table(rows: readonly Row[]): string[] {
  const all = [HEAD, ...rows];
  const widths = HEAD.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[], fill: string) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0, fill)).join(' | ')} |`;
  return [line(HEAD, ' '), line(['', '', '', ''], '-'), ...rows.map((row) => line(row, ' '))];
}

/** The tables, and nothing else of the page. */
export function metricTables(definitions: readonly MetricDefinition[]): string {
  const sectionOf = ({ name }: MetricDefinition) =>
    SECTIONS.find(([, pattern]) => pattern.test(name))?.[0];
  return SECTIONS.toReversed()
    .flatMap(([heading]) => [
      `### ${heading}`,
      '',
      ...table(definitions.filter((definition) => sectionOf(definition) === heading).map(rowOf)),
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
