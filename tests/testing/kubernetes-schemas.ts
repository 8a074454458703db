/**
 * Checks Kubernetes objects against the schemas of their kinds, strictly: a field that a schema does not
 * know is a fault, since a cluster drops it with a warning at most. Required fields, types and
 * formats come from kubernetes-models (and its siblings for custom resources); the fields of the built-in
 * kinds besides from the official client, which is generated from a later release.
 */
import { isDeepStrictEqual } from 'node:util';
import { dumpYaml, loadYaml } from '@kubernetes/client-node';
import { parse, stringify } from 'yaml';

/** As far as every object has it. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

interface ModelClass {
  readonly prototype: { validate(this: unknown): void };
}

const BUILT_IN: Readonly<Record<string, () => Promise<object>>> = {
  v1: () => import('kubernetes-models/v1'),
  'apps/v1': () => import('kubernetes-models/apps/v1'),
  'batch/v1': () => import('kubernetes-models/batch/v1'),
  'networking.k8s.io/v1': () => import('kubernetes-models/networking.k8s.io/v1'),
  'policy/v1': () => import('kubernetes-models/policy/v1'),
  'rbac.authorization.k8s.io/v1': () => import('kubernetes-models/rbac.authorization.k8s.io/v1'),
};
const CUSTOM: Readonly<Record<string, () => Promise<object>>> = {
  'cert-manager.io/v1': () => import('@kubernetes-models/cert-manager/cert-manager.io/v1'),
  'monitoring.coreos.com/v1': () =>
    import('@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1'),
};

/** What is wrong with the object, each fault with its place; nothing for one that is right. */
export async function faultsOf(object: KubernetesObject): Promise<string[]> {
  const { apiVersion, kind } = object;
  const load = BUILT_IN[apiVersion] ?? CUSTOM[apiVersion];
  const models = (await load?.()) as Readonly<Record<string, ModelClass>> | undefined;
  const model = models?.[kind];
  if (model === undefined) return [`there is no ${kind} in ${apiVersion}`];
  const watched = watchReads(object);
  try {
    model.prototype.validate.call(watched.value);
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
  const unknown = watched.unread().map((path) => `${path} is no field of a ${kind}`);
  if (unknown.length > 0 || !(apiVersion in BUILT_IN)) return unknown;
  return isKnownToClient(object) ? [] : [`the client's ${kind} does not have all of its fields`];
}

/** The client drops what its release does not know, when it reads or when it writes. */
function isKnownToClient(object: KubernetesObject): boolean {
  return isDeepStrictEqual(parse(dumpYaml(loadYaml(stringify(object)))), object);
}

/**
 * Wraps a value so that reads show. A validator made from a schema reads each field that the schema has,
 * and each entry of a map; what it has not read when it found nothing wrong, the schema does not know.
 */
function watchReads(value: object, path = ''): { value: object; unread(): string[] } {
  const children = new Map<string, { value: object; unread(): string[] }>();
  const read = new Set<string>();
  const proxy = new Proxy(value, {
    get(target, key, receiver) {
      const found: unknown = Reflect.get(target, key, receiver);
      if (typeof key === 'symbol') return found;
      read.add(key);
      if (typeof found !== 'object' || found === null) return found;
      const child = children.get(key) ?? watchReads(found, `${path}/${key}`);
      children.set(key, child);
      return child.value;
    },
  });
  const unread = () =>
    Object.keys(value).flatMap((key) =>
      read.has(key) ? (children.get(key)?.unread() ?? []) : [`${path}/${key}`],
    );
  return { value: proxy, unread };
}
