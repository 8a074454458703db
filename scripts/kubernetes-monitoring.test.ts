import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { monitoringFiles, toPrometheusRule } from './kubernetes-monitoring.ts';

test('the copies in the component are current; node scripts/kubernetes-monitoring.ts writes them', () => {
  const files = monitoringFiles();
  expect(files.size).toBe(2);
  for (const [path, text] of files) expect(readFileSync(path, 'utf8')).toBe(text);
});

test('a rules file becomes the spec of a PrometheusRule, line by line', () => {
  const rules = 'groups:\n  - name: a\n\n    rules: []\n';
  expect(toPrometheusRule(rules)).toMatch(
    /\nspec:\n {2}groups:\n {4}- name: a\n\n {6}rules: \[\]\n$/,
  );
});
