/**
 * Puts the alerts and the dashboard of deploy/monitoring where kustomize finds them: it reads nothing
 * outside the folder of a component.
 *
 *   node scripts/kubernetes-monitoring.ts           writes
 *   node scripts/kubernetes-monitoring.ts --check   fails when they differ
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const DEPLOY = resolve(import.meta.dirname, '../deploy');
const COMPONENT = join(DEPLOY, 'kubernetes/components/monitoring');

const RULE_HEAD = `# Written by scripts/kubernetes-monitoring.ts from deploy/monitoring/concert.rules.yaml; change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: concert
spec:
`;

/** A rules file of Prometheus as the resource that its operator takes: the same, two columns further in. */
export function toPrometheusRule(rules: string): string {
  return `${RULE_HEAD + rules.trimEnd().replaceAll(/^(?=.)/gm, '  ')}\n`;
}

/** Path in the component to what is to stand there. */
export function monitoringFiles(): ReadonlyMap<string, string> {
  const source = (name: string) => readFileSync(join(DEPLOY, 'monitoring', name), 'utf8');
  return new Map([
    [join(COMPONENT, 'prometheus-rule.yaml'), toPrometheusRule(source('concert.rules.yaml'))],
    [join(COMPONENT, 'concert-dashboard.json'), source('concert-dashboard.json')],
  ]);
}

if (import.meta.main) {
  const check = process.argv.includes('--check');
  for (const [path, text] of monitoringFiles()) {
    if (!check) writeFileSync(path, text);
    else if (readFileSync(path, 'utf8') !== text) {
      console.error(`${path} is not current: node scripts/kubernetes-monitoring.ts`);
      process.exitCode = 1;
    }
  }
}
