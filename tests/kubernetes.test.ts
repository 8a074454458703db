/** What lies in deploy/kubernetes, rendered: right by the schemas, and as strict as it says it is. No cluster. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type {
  V1Deployment,
  V1LabelSelector,
  V1PersistentVolumeClaim,
  V1PodDisruptionBudget,
  V1Probe,
  V1Role,
  V1RoleBinding,
  V1Service,
  V1StatefulSet,
} from '@kubernetes/client-node';
import {
  byteSize,
  duration,
  Health,
  Metrics,
  openAdminListener,
  parseListener,
} from '@mail/service';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { Installation, onlyContainer, secretsOf } from './testing/kubernetes-installation.ts';
import { admitsFrom, admitsTo, type Pod, selects } from './testing/kubernetes-network.ts';
import { faultsOf, type KubernetesObject } from './testing/kubernetes-schemas.ts';
import { findKubectl, KUBERNETES, readManifest, render } from './testing/kustomize.ts';

const kubectl = await findKubectl({ fetch: process.env['CI'] !== undefined });
if (kubectl === undefined) {
  if (process.env['CI'] !== undefined)
    throw new Error('CI wants kubectl with kustomize 5.3 or later');
  console.log('no kubectl with kustomize 5.3 or later on PATH: manifests are not rendered here');
}

/** The YAML that the page tells to put into one's kustomization. */
const PAGE = await readFile(resolve(KUBERNETES, '../../docs/kubernetes.md'), 'utf8');
const BLOCKS = [...PAGE.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);

/** Each may be used or not. */
const COMPONENTS = ['acme-dns-01', 'cert-manager', 'monitoring', 'proxy-protocol'];
const VARIANTS: readonly (readonly [string, readonly string[]])[] = [
  ['embedded', []],
  ['postgres', []],
  ...COMPONENTS.map((component) => ['embedded', [component]] as const),
  ['embedded', ['acme-http-01']],
  ['postgres', COMPONENTS],
];

interface PodMonitor {
  readonly spec: {
    readonly selector: V1LabelSelector;
    readonly podMetricsEndpoints: readonly { readonly port: string }[];
  };
}

const MAIL = ['smtp', 'pop', 'imap'];
const RENEWALS = ['smtp', 'pop', 'imap', 'admin'].map((name) => `renew-identity-${name}`);
/** What cert-manager starts in the namespace while a CA asks for http-01. */
const SOLVER: Pod = {
  name: 'cm-acme-http-solver',
  namespace: 'concert',
  labels: { 'acme.cert-manager.io/http01-solver': 'true' },
  spec: { containers: [] },
};
/** The port of the registry's own mail, where others come through a load balancer with a header. */
const INSIDE = 2526;
const CALLERS = [...MAIL, 'operator', ...RENEWALS];

describe.skipIf(kubectl === undefined).each(VARIANTS)('%s with %j', (overlay, components) => {
  let installation: Installation;

  beforeAll(async () => {
    installation = new Installation(await render(kubectl ?? '', `overlays/${overlay}`, components));
  });

  test('is right by the schemas, with no field that they do not know', async () => {
    expect(installation.objects.length).toBeGreaterThan(30);
    for (const object of installation.objects) {
      const faults = await faultsOf(object);
      expect(faults, `${object.kind} ${object.metadata.name}`).toEqual([]);
    }
  });

  test('lies in one namespace, asks for nothing in the cluster, and holds no secret', () => {
    const kinds = new Set(installation.objects.map(({ kind }) => kind));
    for (const { kind, metadata } of installation.objects) {
      expect(metadata.namespace, `${kind} ${metadata.name}`).toBe('concert');
    }
    expect([...kinds].filter((kind) => /^(Cluster|Secret$|Namespace$)/.test(kind))).toEqual([]);
    const names = installation.objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    expect(names).toEqual([...new Set(names)]);
  });

  test('runs every pod under the restricted profile, with a root file system that is only read', () => {
    expect(installation.pods.map(({ name }) => name).toSorted()).toEqual(
      ['cert-registry', ...CALLERS].toSorted(),
    );
    for (const pod of installation.pods) {
      const { spec, name } = pod;
      expect(spec, name).not.toMatchObject({ hostNetwork: true });
      expect(spec.hostPID ?? spec.hostIPC ?? spec.hostNetwork, name).toBeUndefined();
      expect(spec.enableServiceLinks, name).toBe(false);
      expect(spec.securityContext, name).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 1000,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(onlyContainer(pod).securityContext, name).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      for (const { name: volume, ...source } of spec.volumes ?? []) {
        const kinds = Object.entries(source).filter(([, value]) => value !== undefined);
        expect(['secret', 'emptyDir', 'persistentVolumeClaim'], `${name} ${volume}`).toContain(
          kinds[0]?.[0],
        );
      }
    }
  });

  test('each pod reads its own secrets and nobody else’s', () => {
    const store = overlay === 'postgres' ? ['concert-store'] : [];
    const acme = components.includes('acme-dns-01') ? ['concert-acme'] : [];
    const certificate = components.includes('cert-manager') ? ['concert-certificate'] : [];
    const expected = {
      'cert-registry': [...acme, ...certificate, 'concert-vault-key'],
      operator: ['concert-identity-admin', ...store],
      ...Object.fromEntries(MAIL.map((name) => [name, [`concert-identity-${name}`, ...store]])),
      ...Object.fromEntries(RENEWALS.map((name) => [name, [name.replace('renew', 'concert')]])),
    };
    const found = installation.pods.map((pod) => [pod.name, secretsOf(pod)]);
    expect(Object.fromEntries(found)).toEqual(expected);
  });

  test('only what renews an identity has a role: to patch that one Secret', () => {
    const roles = installation.all<V1Role>('Role');
    const bindings = installation.all<V1RoleBinding>('RoleBinding');
    expect(roles.map(({ metadata }) => metadata?.name).toSorted()).toEqual(RENEWALS.toSorted());
    expect(bindings).toHaveLength(roles.length);
    for (const { metadata, rules } of roles) {
      const name = metadata?.name ?? '';
      const pod = installation.pod(name);
      expect(rules, name).toEqual([
        {
          apiGroups: [''],
          resources: ['secrets'],
          resourceNames: secretsOf(pod),
          verbs: ['patch'],
        },
      ]);
      expect(onlyContainer(pod).args).toEqual(['identity', 'renew', '--secret', ...secretsOf(pod)]);
      const bound = bindings.filter(({ roleRef }) => roleRef.name === name);
      expect(bound.map(({ subjects }) => subjects)).toEqual([
        [{ kind: 'ServiceAccount', name: pod.spec.serviceAccountName, namespace: 'concert' }],
      ]);
    }
    const accounts = installation.objects.filter(({ kind }) => kind === 'ServiceAccount');
    expect(accounts.map(({ metadata }) => metadata.name).toSorted()).toEqual(
      installation.pods.map(({ spec }) => spec.serviceAccountName).toSorted(),
    );
    for (const { name, spec } of installation.pods) {
      expect(spec.automountServiceAccountToken, name).toBe(RENEWALS.includes(name));
    }
  });

  test('what a pod refers to is there, or in the list of what the user makes', () => {
    const claims = installation.all<V1PersistentVolumeClaim>('PersistentVolumeClaim');
    for (const pod of installation.pods) {
      const container = onlyContainer(pod);
      expect(Object.keys(installation.settings(container))).toContain('CONCERT_REGISTRY');
      for (const secret of secretsOf(pod)) expect(PAGE).toContain(`| \`${secret}\``);
      const volumes = pod.spec.volumes ?? [];
      for (const { persistentVolumeClaim: claim } of volumes) {
        if (claim === undefined) continue;
        expect(claims.map(({ metadata }) => metadata?.name)).toContain(claim.claimName);
      }
      const templates = installation
        .all<V1StatefulSet>('StatefulSet')
        .flatMap(({ metadata, spec }) =>
          metadata?.name === pod.name ? (spec?.volumeClaimTemplates ?? []) : [],
        );
      const known = [...volumes.map(({ name }) => name), ...templates.map((t) => t.metadata?.name)];
      const mounted = (container.volumeMounts ?? []).map(({ name }) => name);
      expect(mounted.toSorted(), pod.name).toEqual(known.toSorted());
    }
  });

  test('every setting is one that the settings page knows', async () => {
    const page = await readFile(resolve(KUBERNETES, '../../docs/settings.md'), 'utf8');
    for (const pod of installation.pods) {
      for (const name of Object.keys(installation.settings(onlyContainer(pod)))) {
        const plain = page.includes(`\`${name}\``) ? name : name.replace(/_FILE$/, '');
        expect(page, pod.name).toContain(`\`${plain}\``);
      }
    }
  });

  test('selectors select the pods that they are meant for', () => {
    for (const { metadata, spec } of installation.workloads) {
      const matching = installation.pods.filter(({ labels }) =>
        selects(spec?.selector ?? {}, labels),
      );
      expect(matching.map(({ name }) => name)).toEqual([metadata?.name]);
    }
    const budgets = installation.all<V1PodDisruptionBudget>('PodDisruptionBudget');
    expect(budgets.map(({ metadata }) => metadata?.name).toSorted()).toEqual(
      ['cert-registry', ...MAIL].toSorted(),
    );
    for (const { metadata, spec } of budgets) {
      const matching = installation.pods.filter(({ labels }) =>
        selects(spec?.selector ?? {}, labels),
      );
      expect(matching.map(({ name }) => name)).toEqual([metadata?.name]);
      expect(spec?.maxUnavailable).toBe(1);
    }
    for (const { metadata, spec } of installation.policies) {
      const chosen = [...installation.pods, SOLVER].filter(({ labels }) =>
        selects(spec?.podSelector ?? {}, labels),
      );
      expect(chosen.length, metadata?.name).toBeGreaterThan(0);
    }
  });

  test('Services lead the standard ports to the ports that the settings open', () => {
    const proxied = components.includes('proxy-protocol');
    const standard: Record<string, string[]> = {};
    for (const { metadata, spec } of installation.all<V1Service>('Service')) {
      const [pod, ...others] = installation.pods.filter(({ labels }) =>
        selects({ matchLabels: spec?.selector ?? {} }, labels),
      );
      if (pod === undefined || others.length > 0) throw new Error('a Service wants one workload');
      const container = onlyContainer(pod);
      const open = openPorts(pod.name, installation.settings(container));
      const reached = (spec?.ports ?? []).map(
        ({ targetPort }) =>
          container.ports?.find((port) => port.name === targetPort)?.containerPort,
      );
      for (const port of reached) expect(open, metadata?.name).toContain(port);
      standard[metadata?.name ?? ''] = (spec?.ports ?? []).map(
        ({ name, port }) => `${name} ${port}`,
      );
      if (MAIL.includes(metadata?.name ?? '')) {
        expect(spec?.type).toBe('LoadBalancer');
        expect(spec?.externalTrafficPolicy).toBe(proxied ? 'Cluster' : 'Local');
      } else expect(spec?.type).toBeUndefined();
    }
    expect(standard).toEqual({
      ...(components.includes('acme-http-01') && { 'acme-challenge': ['acme 80'] }),
      ...(proxied && { 'smtp-inside': ['smtp-inside 2526'] }),
      'cert-registry': ['grpc 7443'],
      smtp: ['smtp 25', 'submission 587', 'submissions 465'],
      pop: ['pop3 110', 'pop3s 995'],
      imap: ['imap 143', 'imaps 993'],
    });
    for (const name of MAIL) {
      const settings = installation.settings(onlyContainer(installation.pod(name)));
      for (const { port, proxyFrom } of listenersOf(name, settings)) {
        expect(proxyFrom).toEqual(proxied && port !== INSIDE ? ['192.0.2.0/24'] : []);
      }
    }
  });

  test('warnings by mail have a way that no load balancer is on', () => {
    const registry = installation.pod('cert-registry');
    const smtp = installation.pod('smtp');
    const settings = installation.settings(onlyContainer(registry));
    const { hostname, port } = new URL(settings['CONCERT_NOTIFY_SMTP'] ?? '');
    const service = installation
      .all<V1Service>('Service')
      .find(({ metadata }) => metadata?.name === hostname);
    expect(selects({ matchLabels: service?.spec?.selector ?? {} }, smtp.labels)).toBe(true);
    const target = service?.spec?.ports?.find((each) => each.port === Number(port));
    const name = target?.targetPort ?? '';
    const number = onlyContainer(smtp).ports?.find((each) => each.name === name)?.containerPort;
    const listener = listenersOf('smtp', installation.settings(onlyContainer(smtp))).find(
      (each) => each.port === number,
    );
    expect(listener).toMatchObject({ tls: 'starttls', role: 'mx', proxyFrom: [] });
    const { policies } = installation;
    expect(admitsTo(policies, registry, smtp, name)).toBe(true);
    expect(admitsFrom(policies, smtp, registry, name)).toBe(true);
  });

  test('probes ask what the admin listener has, each what it is for', async () => {
    const server = await openAdminListener('127.0.0.1:0', new Health(), new Metrics());
    try {
      const { port } = server.address() as AddressInfo;
      for (const name of ['cert-registry', ...MAIL]) {
        const container = onlyContainer(installation.pod(name));
        const settings = installation.settings(container);
        const admin = container.ports?.find((each) => each.name === 'admin')?.containerPort;
        expect(settings['CONCERT_ADMIN_LISTEN']).toBe(`0.0.0.0:${admin}`);
        const paths = [container.startupProbe, container.readinessProbe, container.livenessProbe];
        expect(paths.map(probePath)).toEqual(['/startupz', '/readyz', '/livez']);
        for (const path of paths.map(probePath)) {
          expect((await fetch(`http://127.0.0.1:${port}${path}`)).status, path).not.toBe(404);
        }
      }
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  test('a pod that leaves has time for what it does, and a new one is there before', () => {
    for (const { metadata, spec } of installation.workloads) {
      const name = metadata?.name ?? '';
      const pod = installation.pod(name);
      const container = onlyContainer(pod);
      const grace = installation.settings(container)['CONCERT_SHUTDOWN_GRACE'] ?? '0s';
      const graceSeconds = duration(0).parse(grace) / 1000;
      const preStop = container.lifecycle?.preStop?.sleep?.seconds ?? 0;
      expect(pod.spec.terminationGracePeriodSeconds, name).toBeGreaterThanOrEqual(
        preStop + graceSeconds + 5,
      );
      if (!MAIL.includes(name)) continue;
      expect(preStop).toBeGreaterThanOrEqual(30);
      const { minReadySeconds, strategy } = (spec ?? {}) as NonNullable<V1Deployment['spec']>;
      expect(minReadySeconds).toBeGreaterThanOrEqual(10);
      expect(strategy).toEqual({ rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } });
    }
  });

  test('memory limits have room for what the settings allow, and nothing limits the CPU', () => {
    const budgets = ['CONCERT_SMTP_MESSAGE_MEMORY', 'CONCERT_IMAP_APPEND_MEMORY'];
    for (const pod of installation.pods) {
      const container = onlyContainer(pod);
      const settings = installation.settings(container);
      const { requests, limits } = container.resources ?? {};
      expect(Object.keys(requests ?? {}).toSorted(), pod.name).toEqual(['cpu', 'memory']);
      expect(Object.keys(limits ?? {}), pod.name).toEqual(['memory']);
      const limit = byteSize.parse(`${limits?.['memory']}B`);
      if (!MAIL.includes(pod.name)) continue;
      const workers = Number(settings['CONCERT_WORKERS'] ?? '1');
      const budget = budgets.map((name) => byteSize.parse(settings[name] ?? '0'));
      const used = workers * (Math.max(...budget) + 256 * 1024 ** 2);
      expect(limit, pod.name).toBeGreaterThanOrEqual(used);
    }
  });

  test('the network admits what is meant and nothing else', () => {
    const { policies } = installation;
    const registry = installation.pod('cert-registry');
    const stranger = { namespace: 'concert', labels: {} };
    const elsewhere = { namespace: 'other', labels: { 'concert/calls-registry': 'true' } };
    const prometheus = {
      namespace: 'monitoring',
      labels: { 'app.kubernetes.io/name': 'prometheus' },
    };
    const peers = [stranger, elsewhere, prometheus, 'outside' as const];

    const callers = installation.pods.filter((pod) => admitsFrom(policies, registry, pod, 'grpc'));
    expect(callers.map(({ name }) => name).toSorted()).toEqual(CALLERS.toSorted());
    for (const peer of peers) expect(admitsFrom(policies, registry, peer, 'grpc')).toBe(false);
    for (const pod of installation.pods) {
      const calls = CALLERS.includes(pod.name);
      expect(admitsTo(policies, pod, registry, 'grpc'), pod.name).toBe(calls);
    }

    const smtp = installation.pod('smtp');
    const inside = installation.pods.filter((pod) => admitsFrom(policies, smtp, pod, INSIDE));
    expect(inside.map(({ name }) => name)).toEqual(
      components.includes('proxy-protocol') ? ['cert-registry'] : [],
    );
    for (const peer of peers) expect(admitsFrom(policies, smtp, peer, INSIDE)).toBe(false);

    const scraped = components.includes('monitoring');
    for (const pod of installation.pods) {
      const mailPorts = (onlyContainer(pod).ports ?? []).filter(
        ({ name }) => name !== 'admin' && name !== 'grpc' && name !== 'smtp-inside',
      );
      for (const { name, containerPort } of mailPorts) {
        expect(admitsFrom(policies, pod, 'outside', name ?? containerPort)).toBe(true);
      }
      for (const peer of [...installation.pods, ...peers]) {
        expect(admitsFrom(policies, pod, peer, 9090), pod.name).toBe(
          scraped && peer === prometheus && ['cert-registry', ...MAIL].includes(pod.name),
        );
        expect(admitsFrom(policies, pod, peer, 22)).toBe(false);
      }
    }

    expect(admitsFrom(policies, SOLVER, 'outside', 8089)).toBe(components.includes('cert-manager'));
    expect(admitsFrom(policies, SOLVER, 'outside', 8090)).toBe(false);

    const outgoing = Object.fromEntries(
      installation.pods.map((pod) => [
        pod.name,
        [22, 25, 53, 80, 443, 5432, 6443].filter((port) =>
          admitsTo(policies, pod, 'outside', port),
        ),
      ]),
    );
    const store = overlay === 'postgres' ? [5432] : [];
    expect(outgoing).toEqual({
      'cert-registry': [53, 443],
      smtp: [53, ...store],
      pop: [53, ...store],
      imap: [53, ...store],
      operator: [53, ...store],
      ...Object.fromEntries(RENEWALS.map((name) => [name, [53, 443, 6443]])),
    });
    const mailPods = installation.pods.filter((pod) =>
      admitsTo(policies, registry, pod, MAIL.includes(pod.name) ? pod.name : 25),
    );
    expect(mailPods.map(({ name }) => name)).toEqual(['smtp']);
  });

  test('the monitoring component brings the alerts and the dashboard', () => {
    const there = components.includes('monitoring');
    const rules = installation.objects.filter(({ kind }) => kind === 'PrometheusRule');
    expect(rules).toHaveLength(there ? 1 : 0);
    const dashboards = installation.objects.filter(
      ({ metadata }) => metadata.labels?.['grafana_dashboard'] === '1',
    );
    expect(dashboards.map(({ metadata }) => metadata.name)).toEqual(
      there ? ['concert-dashboard'] : [],
    );
    for (const monitor of installation.all<PodMonitor>('PodMonitor')) {
      const scraped = installation.pods.filter(({ labels }) =>
        selects(monitor.spec.selector, labels),
      );
      expect(scraped.map(({ name }) => name).toSorted()).toEqual(
        ['cert-registry', ...MAIL].toSorted(),
      );
      const [{ port } = { port: '' }] = monitor.spec.podMetricsEndpoints;
      for (const pod of scraped) {
        expect(onlyContainer(pod).ports?.map(({ name }) => name)).toContain(port);
      }
    }
  });

  test('the store: on one node, or in a database with replicas that keep apart', () => {
    const users = [...MAIL, 'operator'];
    for (const { metadata, spec } of installation.all<V1Deployment>('Deployment')) {
      const pod = installation.pod(metadata?.name ?? '');
      const settings = installation.settings(onlyContainer(pod));
      expect(users).toContain(pod.name);
      if (overlay === 'embedded') {
        const file = settings['CONCERT_STORE']?.replace('sqlite:', '') ?? '';
        const mount = onlyContainer(pod).volumeMounts?.find(({ name }) => name === 'mail');
        expect(file.startsWith(`${mount?.mountPath}/`)).toBe(true);
        const [term] =
          pod.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
        expect(term?.topologyKey).toBe('kubernetes.io/hostname');
        const together = installation.pods.filter(({ labels }) =>
          selects(term?.labelSelector ?? {}, labels),
        );
        expect(together.map(({ name }) => name).toSorted()).toEqual(users.toSorted());
        expect(spec?.replicas).toBe(1);
      } else if (pod.name !== 'operator') {
        expect(spec?.replicas).toBeGreaterThanOrEqual(2);
        expect(pod.spec.affinity).toBeUndefined();
        const spread = pod.spec.topologySpreadConstraints ?? [];
        expect(spread.map(({ topologyKey }) => topologyKey)).toEqual([
          'topology.kubernetes.io/zone',
          'kubernetes.io/hostname',
        ]);
        for (const { labelSelector, matchLabelKeys } of spread) {
          expect(selects(labelSelector ?? {}, pod.labels)).toBe(true);
          expect(matchLabelKeys).toContain('app.kubernetes.io/name');
        }
      }
    }
    const [mail] = installation.all<V1PersistentVolumeClaim>('PersistentVolumeClaim');
    expect(mail?.spec?.accessModes).toEqual(overlay === 'embedded' ? ['ReadWriteOnce'] : undefined);
  });
});

test.skipIf(kubectl === undefined).each(['embedded', 'postgres'])(
  'nobody can answer for the images of %s until a registry is named',
  async (overlay) => {
    const installation = new Installation(await render(kubectl ?? '', `overlays/${overlay}`, []));
    for (const pod of installation.pods) {
      // RFC 2606 §2: no such host, ever
      expect(onlyContainer(pod).image).toMatch(/^[a-z-]+\.invalid\/concert\/[a-z-]+:0\.1\.0$/);
    }
  },
);

test.skipIf(kubectl === undefined)('the example puts its own names and images in', async () => {
  const installation = new Installation(await render(kubectl ?? '', 'example', []));
  for (const pod of installation.pods) {
    expect(onlyContainer(pod).image).toMatch(/^registry\.example\.com\/concert\/[a-z-]+:0\.1\.0$/);
  }
  const registry = onlyContainer(installation.pod('cert-registry'));
  expect(installation.settings(registry)).toMatchObject({
    CONCERT_REGISTRY_NAMES: 'smtp.example.com pop.example.com imap.example.com',
    CONCERT_REGISTRY_KEY_FILE: '/vault-key/key',
  });
});

test.skipIf(kubectl === undefined).each(BLOCKS)('the page’s addition %# renders', async (text) => {
  const { components = [], ...more } = parse(text) as { components?: string[] };
  const names = components.map((path) => path.replace('../components/', ''));
  const rendered = await render(kubectl ?? '', 'example', names, more);
  expect(rendered).not.toBe(await render(kubectl ?? '', 'example', names));
  for (const object of new Installation(rendered).objects) {
    expect(await faultsOf(object), `${object.kind} ${object.metadata.name}`).toEqual([]);
  }
});

function listenersOf(service: string, settings: Readonly<Record<string, string>>) {
  const text = settings[`CONCERT_${service.toUpperCase()}_LISTENERS`] ?? '';
  return text.split(/\s+/).map(parseListener);
}

/** Of a pod, as its settings say. */
function openPorts(pod: string, settings: Readonly<Record<string, string>>): number[] {
  if (MAIL.includes(pod)) return listenersOf(pod, settings).map(({ port }) => port);
  return ['CONCERT_REGISTRY_LISTEN', 'CONCERT_ACME_HTTP_LISTEN'].flatMap((name) =>
    settings[name] === undefined ? [] : [Number(settings[name].split(':').at(-1))],
  );
}

function probePath(probe: V1Probe | undefined): string {
  expect(probe?.httpGet?.port).toBe('admin');
  return probe?.httpGet?.path ?? '';
}

test('the namespace is held to the restricted profile', async () => {
  const [namespace] = parseAllDocuments(await readManifest('namespace.yaml'));
  const object: KubernetesObject = namespace?.toJS();
  expect(await faultsOf(object)).toEqual([]);
  expect(object.metadata.name).toBe('concert');
  expect(object.metadata.labels).toMatchObject({
    'pod-security.kubernetes.io/enforce': 'restricted',
  });
});

describe('the check of schemas itself', () => {
  const object = (spec: object, more: object = {}): KubernetesObject =>
    ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'x' }, spec, ...more }) as never;

  test.each([
    ['a field that is misspelt', object({ slector: { a: 'b' } }), '/spec/slector is no field'],
    ['one deep inside', object({ ports: [{ port: 1, prot: 1 }] }), '/spec/ports/0/prot is no'],
    ['a wrong type', object({ ports: [{ port: 'many' }] }), 'spec/ports/0/port must be'],
    ['a field that is missing', object({ ports: [{}] }), "must have required property 'port'"],
    ['an unknown kind', object({}, { kind: 'Servise' }), 'there is no Servise in v1'],
  ])('finds %s', async (_, wrong, fault) => {
    const faults = (await faultsOf(wrong)).join();
    expect(faults.replaceAll("'", '')).toContain(fault.replaceAll("'", ''));
  });

  test('lets the same pass without the fault', async () => {
    expect(await faultsOf(object({ selector: { a: 'b' }, ports: [{ port: 1 }] }))).toEqual([]);
  });
});

test('identities.sh makes one Secret of each identity, and leaves no key behind', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'concert-identities-'));
  try {
    const programs = join(scratch, 'bin');
    const secrets = join(scratch, 'secrets');
    const temporary = join(scratch, 'tmp');
    await Promise.all([programs, secrets, temporary].map((folder) => mkdir(folder)));
    // answers as kubectl would, and keeps what it was told to apply
    await writeFile(
      join(programs, 'kubectl'),
      `#!/bin/sh
[ "$1 $2" = "--namespace mail" ] || exit 9
shift 2
case "$1" in
  exec) for last; do :; done; echo "content of $last" ;;
  create) cat "\${5#--from-file=}"/cert.pem "\${5#--from-file=}"/key.pem "\${5#--from-file=}"/ca.pem ; echo "$4" ;;
  apply) for last; do :; done; file=\${last#--filename=}; cp "$file" "${secrets}/" ;;
  *) exit 9 ;;
esac
`,
    );
    await chmod(join(programs, 'kubectl'), 0o755);
    await promisify(execFile)(join(KUBERNETES, 'identities.sh'), ['mail'], {
      env: { PATH: `${programs}:/usr/bin:/bin`, TMPDIR: temporary },
    });
    const made = await readdir(secrets);
    expect(made.toSorted()).toEqual(
      ['admin', 'imap', 'pop', 'smtp'].map((name) => `concert-identity-${name}.yaml`),
    );
    expect(await readFile(join(secrets, 'concert-identity-imap.yaml'), 'utf8')).toBe(
      `${['cert.pem', 'key.pem', 'ca.pem']
        .map((file) => `content of /data/identities/service/imap/${file}\n`)
        .join('')}concert-identity-imap\n`,
    );
    expect(await readdir(temporary)).toEqual([]);
  } finally {
    await rm(scratch, { recursive: true });
  }
});
