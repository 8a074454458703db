/** A rendered installation, as tests ask about it. */
import {
  loadYaml,
  type V1Container,
  type V1CronJob,
  type V1Deployment,
  type V1NetworkPolicy,
  type V1StatefulSet,
} from '@kubernetes/client-node';
import { parseAllDocuments, stringify } from 'yaml';
import type { Pod } from './kubernetes-network.ts';
import type { KubernetesObject } from './kubernetes-schemas.ts';

/** One rendered installation. */
export class Installation {
  readonly objects: readonly KubernetesObject[];

  constructor(yaml: string) {
    this.objects = parseAllDocuments(yaml).map((document) => document.toJS());
  }

  /** In the types of the client, which names a field or two differently. */
  all<T>(kind: string): T[] {
    return this.objects
      .filter((object) => object.kind === kind)
      .map((object) => loadYaml(stringify(object)) as T);
  }

  get workloads(): (V1Deployment | V1StatefulSet)[] {
    return [...this.all<V1Deployment>('Deployment'), ...this.all<V1StatefulSet>('StatefulSet')];
  }

  /** One of each workload. */
  get pods(): Pod[] {
    const cronJobs = this.all<V1CronJob>('CronJob').map(({ metadata, spec }) => ({
      metadata,
      spec: spec?.jobTemplate.spec,
    }));
    return [...this.workloads, ...cronJobs].map(({ metadata, spec }) => {
      const template = spec?.template;
      if (template?.spec === undefined) throw new Error('a workload without pods');
      return {
        name: metadata?.name ?? '',
        namespace: metadata?.namespace ?? '',
        labels: template.metadata?.labels ?? {},
        spec: template.spec ?? { containers: [] },
      };
    });
  }

  pod(name: string): Pod {
    const found = this.pods.find((pod) => pod.name === name);
    if (found === undefined) throw new Error(`there is no pod ${name}`);
    return found;
  }

  get policies(): V1NetworkPolicy[] {
    return this.all('NetworkPolicy');
  }

  /** What the container's environment says, from the ConfigMaps that it names and its own. */
  settings({ envFrom = [], env = [] }: V1Container): Record<string, string> {
    const maps = envFrom.map(({ configMapRef }) => {
      const map = this.objects.find(
        ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMapRef?.name,
      );
      if (map === undefined) throw new Error(`there is no ConfigMap ${configMapRef?.name}`);
      return (map as unknown as { data: Record<string, string> }).data;
    });
    const own = Object.fromEntries(env.map(({ name, value = '' }) => [name, value]));
    return Object.assign({}, ...maps, own);
  }
}

/** Of a pod that is to have no other. */
export function onlyContainer({ spec, name }: Pod): V1Container {
  const [container, ...others] = [...(spec.initContainers ?? []), ...spec.containers];
  if (container === undefined || others.length > 0) throw new Error(`${name} wants one container`);
  return container;
}

/** Names of the Secrets that a pod is given in any way. */
export function secretsOf({ spec }: Pod): string[] {
  const mounted = (spec.volumes ?? []).flatMap(({ secret }) => secret?.secretName ?? []);
  const inEnvironment = spec.containers.flatMap(({ env = [], envFrom = [] }) => [
    ...env.flatMap(({ valueFrom }) => valueFrom?.secretKeyRef?.name ?? []),
    ...envFrom.flatMap(({ secretRef }) => secretRef?.name ?? []),
  ]);
  return [...mounted, ...inEnvironment].toSorted();
}
