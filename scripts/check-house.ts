/**
 * The rules of the house as a program: which way imports run, what pure code may not touch, where
 * secrets and drivers live. Reads sources as text; prints each breach as `file:line rule`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');

export interface Source {
  /** Path from the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Breach {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
}

/** What a package may import of ours. Services may import any package named here by SERVICE_MAY. */
const PACKAGE_MAY: Record<string, readonly string[]> = {
  '@mail/proto': [],
  '@mail/x509': [],
  '@mail/message': [],
  '@mail/auth': [],
  '@mail/service': [],
  '@mail/line-server': ['@mail/service'],
  '@mail/store': ['@mail/message', '@mail/service'],
  '@mail/certs': ['@mail/proto', '@mail/service', '@mail/x509', '@mail/line-server'],
  concert: ['@mail/proto', '@mail/service', '@mail/store', '@mail/auth', '@mail/x509'],
};
const MAIL_SERVICE_MAY = [
  '@mail/auth',
  '@mail/certs',
  '@mail/line-server',
  '@mail/message',
  '@mail/service',
  '@mail/store',
];
const SERVICE_MAY: Record<string, readonly string[]> = {
  'cert-registry': ['@mail/certs', '@mail/proto', '@mail/service', '@mail/x509'],
  smtp: MAIL_SERVICE_MAY,
  pop: MAIL_SERVICE_MAY,
  imap: MAIL_SERVICE_MAY,
};

/** No I/O, no clock, no randomness. Key generation is x509's one exception, in a file of its own. */
const PURE = [
  /^packages\/x509\/src\/(?!create\.ts)/,
  /^packages\/message\/src\//,
  /^packages\/auth\/src\/sasl\//,
  /^services\/imap\/src\/parser\//,
  /^packages\/certs\/src\/subscriber\.ts$/,
  /^services\/cert-registry\/src\/coordinator\.ts$/,
  /^services\/cert-registry\/src\/sources\/(arrival-plan|maintenance-window)\.ts$/,
  /^services\/cert-registry\/src\/sources\/folder\/folder-(pair|watch)\.ts$/,
];
const IMPURE_IMPORT =
  /^node:(fs|net|tls|dgram|dns|http|https|http2|child_process|worker_threads|cluster|timers|os|process)/;
const IMPURE_CALL =
  /\b(Date\.now\(|new Date\(\)|performance\.now\(|process\.|Math\.random\(|randomBytes\(|randomUUID\(|setTimeout\(|setInterval\(|setImmediate\()/;

/** Text that may stand only in the places named. */
const CONFINED: readonly {
  readonly what: RegExp;
  readonly where: RegExp;
  readonly rule: string;
}[] = [
  {
    what: /from '(kysely|node:sqlite)'/,
    where: /^(packages\/store\/|services\/cert-registry\/src\/(database|sqlite|migrations)\.ts)/,
    rule: 'SQL and drivers stay in the store and the registry database',
  },
  {
    what: /from '(@grpc\/[a-z-]+|@mail\/proto|grpc-health-check)'/,
    where: /^(packages\/(proto|certs|cli)\/|services\/cert-registry\/)/,
    rule: 'gRPC stays in proto, certs, cert-registry and the command',
  },
  {
    what: /\b(createSecureContext|secureContext)\b/,
    where: /^packages\/certs\//,
    rule: 'no TLS context outside certs: ask for the current one at each handshake',
  },
  {
    what: /\b(createPrivateKey|privateKeyPem)\b/,
    where:
      /^(packages\/(certs|x509|cli|proto)\/|packages\/service\/src\/(logger|identity-folder)|services\/cert-registry\/)/,
    rule: 'private keys stay in certs, x509, identity folders and the registry',
  },
  {
    what: /\bprocess\.env\b/,
    where: /^packages\/service\/src\/config\.ts$/,
    rule: 'the environment is read in @mail/service alone',
  },
  {
    what: /\bfrom '\.\.?\/[^']*(?<!\.ts|\.json)'/,
    where: /^$/,
    rule: 'imports of ours end in .ts',
  },
  { what: /biome-ignore [^:]*:?\s*$/, where: /^$/, rule: 'a suppressed lint gives its reason' },
];

const IMPORT = /(?:\bfrom\s+|\bimport\s+|\bimport\()'([^']+)'/g;

const isTest = (path: string): boolean => /\.test\.ts$|\/testing\//.test(path);
const ownerOf = (path: string): string => path.split('/').slice(0, 2).join('/');

function packageName(owner: string): string {
  const folder = owner.split('/')[1] ?? '';
  return folder === 'cli' ? 'concert' : `@mail/${folder}`;
}

/** What packages export besides their index: "@mail/certs/testing". */
const EXPORTED = new Set(
  readdirSync(join(root, 'packages')).flatMap((folder) => {
    const text = readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8');
    const { name, exports = {} }: { name: string; exports?: object } = JSON.parse(text);
    return Object.keys(exports).map((path) => join(name, path));
  }),
);

function importBreaches(source: Source, specifier: string): string[] {
  const found: string[] = [];
  const owner = ownerOf(source.path);
  const [kind, folder = ''] = owner.split('/');
  const ours = /^(@mail\/[a-z0-9-]+|concert)(\/.*)?$/.exec(specifier);
  if (ours?.[1] !== undefined) {
    const may = kind === 'services' ? SERVICE_MAY[folder] : PACKAGE_MAY[packageName(owner)];
    const target = ours[1];
    if (!isTest(source.path) && target !== packageName(owner) && !may?.includes(target)) {
      found.push(`${packageName(owner)} may not import ${target}`);
    }
    if (ours[2] !== undefined && !EXPORTED.has(specifier)) found.push(`deep import ${specifier}`);
    if (ours[2] === '/testing' && !isTest(source.path))
      found.push('production code imports /testing');
  }
  if (specifier.startsWith('.')) {
    const target = join(dirname(source.path), specifier);
    if (ownerOf(target) !== owner)
      found.push(`relative import out of ${owner}: use the package's name`);
    if (isTest(target) && !isTest(source.path)) found.push('production code imports tests');
  }
  return found;
}

/** Import circles among the files of one package, each told once at its first file by name. */
function circles(sources: readonly Source[]): Breach[] {
  const edges = new Map<string, string[]>();
  for (const { path, text } of sources) {
    const valueImports = text.matchAll(/^(?:import|export)(?! type\b)[^;]*?from\s+'(\.[^']+)'/gm);
    edges.set(
      path,
      Array.from(valueImports, (match) => join(dirname(path), match[1] ?? '')),
    );
  }
  const found: Breach[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (path: string, trail: string[]): void => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      const circle = [...trail.slice(trail.indexOf(path)), path];
      found.push({ path, line: 1, rule: `import circle: ${circle.join(' -> ')}` });
      return;
    }
    state.set(path, 'open');
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    state.set(path, 'done');
  };
  for (const path of edges.keys()) visit(path, []);
  return found;
}

/** All breaches in the sources given. */
export function checkHouse(sources: readonly Source[]): Breach[] {
  const found: Breach[] = [];
  for (const source of sources) {
    const pure = !isTest(source.path) && PURE.some((pattern) => pattern.test(source.path));
    source.text.split('\n').forEach((text, index) => {
      const say = (rule: string): void => {
        found.push({ path: source.path, line: index + 1, rule });
      };
      const code = text.replace(/^\s*(\*|\/\/|\/\*).*$/, '');
      for (const [, specifier = ''] of code.matchAll(IMPORT)) {
        for (const rule of importBreaches(source, specifier)) say(rule);
        if (pure && IMPURE_IMPORT.test(specifier) && !code.includes('import type')) {
          say(`pure code imports ${specifier}`);
        }
      }
      if (pure && IMPURE_CALL.test(code))
        say('pure code does I/O, reads a clock or draws randomness');
      if (isTest(source.path)) return;
      for (const { what, where, rule } of CONFINED) {
        if (what.test(code) && !where.test(source.path)) say(rule);
      }
    });
  }
  return [...found, ...circles(sources.filter(({ path }) => !isTest(path)))];
}

function readSources(): Source[] {
  return ['packages', 'services'].flatMap((kind) =>
    readdirSync(join(root, kind)).flatMap((folder) =>
      readdirSync(join(root, kind, folder, 'src'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
        .map((entry) => join(entry.parentPath, entry.name))
        .filter((path) => !path.includes('/gen/'))
        .map((path) => ({ path: relative(root, path), text: readFileSync(path, 'utf8') })),
    ),
  );
}

if (import.meta.main) {
  const breaches = checkHouse(readSources());
  for (const { path, line, rule } of breaches) console.error(`${path}:${line} ${rule}`);
  console.log(breaches.length === 0 ? 'the house is in order' : `${breaches.length} breaches`);
  process.exit(breaches.length === 0 ? 0 : 1);
}
