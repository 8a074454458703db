/**
 * What NetworkPolicies admit, as the API reference of networking.k8s.io/v1 defines it: a pod that any
 * policy selects for a direction has nothing in that direction but what some policy allows; a connection
 * takes both ends. No addresses: a peer is a pod, or somebody outside.
 */
import type { V1LabelSelector, V1NetworkPolicy, V1PodSpec } from '@kubernetes/client-node';

export interface Pod {
  /** Of the workload. */
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: V1PodSpec;
}

/** Another end: a pod with these labels, in a namespace with those; "outside" for any address. */
export type Peer =
  | 'outside'
  | {
      readonly namespace: string;
      readonly labels: Readonly<Record<string, string>>;
    };

interface Rule {
  readonly ports?: readonly { port?: number | string; protocol?: string }[];
  readonly peers?: readonly {
    readonly podSelector?: V1LabelSelector;
    readonly namespaceSelector?: V1LabelSelector;
    readonly ipBlock?: object;
  }[];
}

export function selects(
  selector: V1LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  const exact = Object.entries(selector.matchLabels ?? {});
  return (
    exact.every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === 'In') return value !== undefined && values.includes(value);
      if (operator === 'Exists') return value !== undefined;
      throw new Error(`the test does not know the operator ${operator}`);
    })
  );
}

/** Whether `pod` takes connections of `from` on its port of that name or number. */
export function admitsFrom(
  policies: readonly V1NetworkPolicy[],
  pod: Pod,
  from: Peer,
  port: string | number,
): boolean {
  const rules = rulesFor(policies, pod, 'Ingress');
  return rules?.some((rule) => allows(rule, from, pod, port, pod.namespace)) ?? true;
}

/** Whether `pod` may connect to `to` on that port, by the name that it has there or by number. */
export function admitsTo(
  policies: readonly V1NetworkPolicy[],
  pod: Pod,
  to: Peer | Pod,
  port: string | number,
): boolean {
  const target = to !== 'outside' && 'spec' in to ? to : undefined;
  const rules = rulesFor(policies, pod, 'Egress');
  return rules?.some((rule) => allows(rule, to, target, port, pod.namespace)) ?? true;
}

/** Undefined where no policy selects the pod: then all is admitted. */
function rulesFor(
  policies: readonly V1NetworkPolicy[],
  pod: Pod,
  direction: 'Ingress' | 'Egress',
): Rule[] | undefined {
  const mine = policies.filter(
    ({ spec }) =>
      spec?.policyTypes?.includes(direction) && selects(spec.podSelector ?? {}, pod.labels),
  );
  if (mine.length === 0) return undefined;
  return mine.flatMap(({ spec }) =>
    direction === 'Ingress'
      ? (spec?.ingress ?? []).map(({ ports, _from }) => rule(ports, _from))
      : (spec?.egress ?? []).map(({ ports, to }) => rule(ports, to)),
  );
}

function rule(ports: Rule['ports'], peers: Rule['peers']): Rule {
  return { ...(ports && { ports }), ...(peers && { peers }) };
}

function allows(
  { ports, peers }: Rule,
  other: Peer,
  target: Pod | undefined,
  port: string | number,
  home: string,
): boolean {
  const wanted = numberOf(target, port);
  const portFits = ports?.some((each) => numberOf(target, each.port ?? port) === wanted) ?? true;
  const peerFits =
    peers?.some(({ podSelector, namespaceSelector, ipBlock }) => {
      if (ipBlock !== undefined) throw new Error('the test does not know addresses');
      if (other === 'outside') return false;
      // as the control plane labels each namespace
      const namespaceLabels = { 'kubernetes.io/metadata.name': other.namespace };
      const inNamespace = namespaceSelector
        ? selects(namespaceSelector, namespaceLabels)
        : other.namespace === home;
      return inNamespace && selects(podSelector ?? {}, other.labels);
    }) ?? true;
  return portFits && peerFits;
}

/** A port's number; a name that the target does not have is no port of it. */
function numberOf(target: Pod | undefined, port: string | number): number | undefined {
  if (typeof port === 'number') return port;
  const ports = target?.spec.containers.flatMap((container) => container.ports ?? []) ?? [];
  return ports.find(({ name }) => name === port)?.containerPort ?? Number.NaN;
}
