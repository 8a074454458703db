/**
 * Runs a pod of a manifest as a container of Docker, under what the manifest says: its settings, mounts,
 * user, capabilities, file system that is only read, memory. Stands in for a kubelet where there is none;
 * what only a cluster has (scheduling, Services, policies) it does not do.
 */
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { V1Container, V1Volume } from '@kubernetes/client-node';
import { type Installation, onlyContainer } from './kubernetes-installation.ts';

const run = promisify(execFile);

/** As the manifests run everything. */
const USER = 1000;

/** Kept as Secrets are. */
const ACCOUNT = 'service-account';

export class Kubelet {
  readonly #installation: Installation;
  readonly #images: string;
  readonly #network: string;
  readonly #folder: string;
  readonly #containers: string[] = [];

  private constructor(installation: Installation, images: string, folder: string) {
    this.#installation = installation;
    this.#images = images;
    this.#folder = folder;
    this.#network = `concert-kubelet-${process.pid}`;
  }

  /** `images` is the tag that they all have. */
  static async open(installation: Installation, images: string): Promise<Kubelet> {
    const folder = await mkdtemp(join(tmpdir(), 'concert-kubelet-'));
    await chmod(folder, 0o755);
    const kubelet = new Kubelet(installation, images, folder);
    await run('docker', ['network', 'create', kubelet.#network]);
    return kubelet;
  }

  container(pod: string): string {
    return `${this.#network}-${pod}`;
  }

  /** Makes or replaces a Secret; mounted ones change by one swap of `..data`, as a kubelet does it. */
  async setSecret(name: string, files: Readonly<Record<string, string>>): Promise<void> {
    const home = join(this.#folder, 'secrets', name);
    await mkdir(home, { recursive: true });
    const version = await mkdtemp(join(home, '..v'));
    for (const [file, text] of Object.entries(files)) {
      await writeFile(join(version, file), text);
      await chmod(join(version, file), 0o440);
      await chown(join(version, file), 0, USER);
      await symlink(join('..data', file), join(home, file)).catch(() => {});
    }
    await chmod(version, 0o755);
    await symlink(version.slice(home.length + 1), join(home, '..data_tmp'));
    await rename(join(home, '..data_tmp'), join(home, '..data'));
  }

  /** What pods that call the cluster's API find of their account: its token, and who vouches for the API. */
  async setServiceAccount(account: {
    readonly token: string;
    readonly caPem: string;
  }): Promise<void> {
    await this.setSecret(ACCOUNT, {
      token: account.token,
      namespace: 'concert',
      'ca.crt': account.caPem,
    });
  }

  /** Runs a program of the cluster itself under its DNS name, from the image of an operator's pod. */
  async startService(dnsName: string, code: string, settings: Readonly<Record<string, string>>) {
    await run('docker', [
      ...['run', '--detach', '--name', this.container(dnsName)],
      ...['--network', this.#network, '--network-alias', dnsName],
      ...Object.entries(settings).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
      ...['--entrypoint', 'node', this.#image(onlyContainer(this.#installation.pod('operator')))],
      ...['-e', code],
    ]);
    this.#containers.push(dnsName);
  }

  async logs(name: string): Promise<string> {
    return (await run('docker', ['logs', this.container(name)])).stdout;
  }

  /** Waits for a pod that ends by itself; the exit code. */
  async finish(name: string): Promise<number> {
    return Number((await run('docker', ['wait', this.container(name)])).stdout);
  }

  /** Starts the pod and waits until its readiness probe, where it has one, is answered with 200. */
  async start(name: string): Promise<void> {
    const pod = this.#installation.pod(name);
    const container = onlyContainer(pod);
    const settings = this.#installation.settings(container);
    const volumes = new Map(pod.spec.volumes?.map((volume) => [volume.name, volume]));
    const mounts = await Promise.all(
      (container.volumeMounts ?? []).map(({ name: volume, mountPath, readOnly }) =>
        this.#mount(volume, volumes.get(volume), mountPath, readOnly === true),
      ),
    );
    if (pod.spec.automountServiceAccountToken === true) {
      const path = '/var/run/secrets/kubernetes.io/serviceaccount';
      mounts.push(['--volume', `${join(this.#folder, 'secrets', ACCOUNT)}:${path}:ro`]);
    }
    const { runAsUser, runAsGroup } = pod.spec.securityContext ?? {};
    const [program, ...rest] = container.command ?? [];
    this.#containers.push(name);
    await run('docker', [
      'run',
      '--detach',
      ...['--name', this.container(name), '--hostname', name],
      ...['--network', this.#network, '--network-alias', name],
      ...['--user', `${runAsUser}:${runAsGroup}`, '--cap-drop', 'ALL', '--read-only'],
      ...['--security-opt', 'no-new-privileges'],
      ...['--memory', `${container.resources?.limits?.['memory']}`.replace(/i$/, '')],
      ...Object.entries(settings).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
      ...mounts.flat(),
      ...(program === undefined ? [] : ['--entrypoint', program]),
      this.#image(container),
      ...rest,
      ...(container.args ?? []),
    ]);
    const path = container.readinessProbe?.httpGet?.path;
    if (path !== undefined) await this.#untilReady(name, path);
  }

  #image({ image = '' }: V1Container): string {
    return `${image.replace(/:[^:]*$/, '')}:${this.#images}`;
  }

  async #mount(
    name: string,
    volume: V1Volume | undefined,
    path: string,
    readOnly: boolean,
  ): Promise<string[]> {
    const secret = volume?.secret?.secretName;
    if (secret !== undefined) {
      const home = join(this.#folder, 'secrets', secret);
      await mkdir(home, { recursive: true });
      return ['--volume', `${home}:${path}:${readOnly ? 'ro' : 'rw'}`];
    }
    if (volume?.emptyDir) return ['--tmpfs', `${path}:uid=0,gid=${USER},mode=2777`];
    // a claim: of the pod's own template, or shared by name
    const home = join(this.#folder, 'claims', volume?.persistentVolumeClaim?.claimName ?? name);
    await mkdir(home, { recursive: true });
    await chown(home, 0, USER);
    await chmod(home, 0o2775);
    return ['--volume', `${home}:${path}`];
  }

  /** From inside, so that it does not matter where the engine's network can be reached from. */
  async #untilReady(name: string, path: string): Promise<void> {
    const ask = `const ask = () => fetch('http://127.0.0.1:9090${path}').then(
      (answer) => answer.ok ? process.exit(0) : setTimeout(ask, 50), () => setTimeout(ask, 50));
      setTimeout(() => process.exit(1), 60_000); ask();`;
    try {
      await this.exec(name, ['node', '-e', ask]);
    } catch (cause) {
      const { stdout, stderr } = await run('docker', ['logs', this.container(name)]);
      throw new Error(`${name} is not ready:\n${stdout}${stderr}`, { cause });
    }
  }

  /** As kubectl exec: what the command printed. */
  async exec(pod: string, command: readonly string[], input = ''): Promise<string> {
    const child = run('docker', ['exec', '-i', this.container(pod), ...command]);
    child.child.stdin?.end(input);
    return (await child).stdout;
  }

  /** SIGTERM and, after the grace that the manifest gives, SIGKILL; the exit code. */
  async stop(name: string): Promise<number> {
    const grace = this.#installation.pod(name).spec.terminationGracePeriodSeconds ?? 30;
    await run('docker', ['stop', '--timeout', String(grace), this.container(name)]);
    const { stdout } = await run('docker', [
      'inspect',
      '--format={{.State.ExitCode}}',
      this.container(name),
    ]);
    return Number(stdout);
  }

  async close(): Promise<void> {
    const names = this.#containers.map((name) => this.container(name));
    if (names.length > 0) await run('docker', ['rm', '--force', '--volumes', ...names]);
    await run('docker', ['network', 'rm', this.#network]);
    await rm(this.#folder, { recursive: true });
  }
}
