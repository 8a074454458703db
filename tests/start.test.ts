/** `npm start` as a newcomer meets it: what it prints, what it says when something is wrong, how it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openStore } from '@mail/store';
import { afterEach, expect, test } from 'vitest';
import { handshake } from './testing/handshakes.ts';
import { freePorts, ROOT } from './testing/system.ts';

const EXIT_UNAVAILABLE = 69;
/** SQLite's own default. */
const PAGE_BYTES = 4096;

interface Suite {
  readonly child: ChildProcess;
  readonly imapsPort: number;
  readonly registryPort: number;
  /** All that it has printed so far. */
  readonly output: () => string;
  /** Resolves once the output matches; rejects when it ends before. */
  until(wanted: RegExp): Promise<RegExpExecArray>;
}

const folders: string[] = [];
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'concert-start-'));
  folders.push(folder);
  return folder;
}

async function start(data: string, imapsPort?: number): Promise<Suite> {
  const ports = await freePorts(8);
  const imaps = imapsPort ?? ports[6];
  const child = spawn(process.execPath, ['scripts/supervise.ts'], {
    cwd: ROOT,
    env: {
      ...process.env,
      CONCERT_DATA: data,
      CONCERT_REGISTRY: `127.0.0.1:${ports[7]}`,
      CONCERT_REGISTRY_LISTEN: `127.0.0.1:${ports[7]}`,
      CONCERT_SMTP_LISTENERS: `starttls://127.0.0.1:${ports[0]}?role=mx tls://127.0.0.1:${ports[2]}?role=submission`,
      CONCERT_POP_LISTENERS: `tls://127.0.0.1:${ports[4]}`,
      CONCERT_IMAP_LISTENERS: `tls://127.0.0.1:${imaps}`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let text = '';
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      for (const look of waiting) look();
    });
  }
  return {
    child,
    imapsPort: imaps ?? 0,
    registryPort: ports[7] ?? 0,
    output: () => text,
    until: (wanted) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const match = wanted.exec(text);
          if (match === null) return;
          waiting.delete(look);
          resolve(match);
        };
        waiting.add(look);
        child.once('close', () => reject(new Error(`ended before ${wanted}: ${text}`)));
        look();
      }),
  };
}

/** The one line that a start which can't go well prints, and its exit code. */
async function failure(
  data: string,
  imapsPort?: number,
): Promise<{ code: unknown; lines: string[] }> {
  const { child, output } = await start(data, imapsPort);
  const [code] = await once(child, 'close');
  return { code, lines: output().trim().split('\n') };
}

test('a first start prints what is needed once, survives kill -9 of a service, and ends on Ctrl-C', async () => {
  const data = newFolder();
  const suite = await start(data);
  await suite.until(/^Concert is ready$/m);
  expect(suite.output()).toMatch(/demo mailbox demo@localhost, password \S+/);
  expect(suite.output()).toContain(
    `  CONCERT_DATA=${data} CONCERT_REGISTRY=127.0.0.1:${suite.registryPort} npx concert cert rotate ID\n`,
  );
  expect(suite.output()).toMatch(new RegExp(`  IMAPS +127.0.0.1:${suite.imapsPort} +TLS\n`));

  const [password = ''] = /(?<=password )\S+/.exec(suite.output()) ?? [];
  for (const file of readdirSync(join(data, 'logs'))) {
    expect(readFileSync(join(data, 'logs', file), 'utf8')).not.toContain(password);
  }
  // nobody else on this host reads what lies here
  expect(statSync(join(data, 'identities/operator/admin/key.pem')).mode & 0o077).toBe(0);
  expect(statSync(join(data, 'registry/vault.key')).mode & 0o077).toBe(0);

  const imap = /"pid":(\d+)/.exec(readFileSync(join(data, 'logs/imap.log'), 'utf8'))?.[1];
  process.kill(Number(imap), 'SIGKILL');
  await suite.until(/imap is back/);
  const port = { name: 'imaps', protocol: 'imap', port: suite.imapsPort, startTls: false } as const;
  const { socket } = await handshake(port);
  socket.destroy();

  // a second one is refused before it has touched anything
  const logBefore = readFileSync(join(data, 'logs/imap.log'), 'utf8');
  const second = await failure(data);
  expect(second.code).toBe(EXIT_UNAVAILABLE);
  expect(second.lines).toEqual([
    expect.stringMatching(
      `^concert: already running \\(pid ${suite.child.pid}\\), data folder ${data};`,
    ),
  ]);
  expect(readFileSync(join(data, 'logs/imap.log'), 'utf8').startsWith(logBefore)).toBe(true);

  suite.child.kill('SIGINT');
  expect(await once(suite.child, 'close')).toEqual([0, null]);
  expect(suite.output()).toMatch(/Stopped\.\n$/);
  await expect(handshake(port)).rejects.toThrow(/ECONNREFUSED/);

  const again = await start(data);
  await again.until(/^Concert is ready$/m);
  expect(again.output()).not.toMatch(/password [A-Za-z0-9_-]{16}/);
});

test('Ctrl-C in the middle of a start ends it as well', async () => {
  const data = newFolder();
  const suite = await start(data);
  while (!existsSync(join(data, 'logs/cert-registry.log'))) await pause(20);
  suite.child.kill('SIGINT');
  expect(await once(suite.child, 'close')).toEqual([0, null]);
});

test('a port in use is one line that names it', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const address = holder.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const { code, lines } = await failure(newFolder(), port);
  holder.close();
  expect(code).toBe(EXIT_UNAVAILABLE);
  expect(lines).toEqual([
    expect.stringMatching(new RegExp(`^concert: imap: port ${port} .* in use`)),
  ]);
});

test('a data folder that can’t be written is one line that names it', async () => {
  // root may write anywhere but below a file
  const file = join(newFolder(), 'file');
  writeFileSync(file, '');
  const { code, lines } = await failure(join(file, 'data'));
  expect(code).toBe(EXIT_UNAVAILABLE);
  expect(lines).toEqual([expect.stringContaining(join(file, 'data'))]);
});

test.runIf(process.platform === 'linux')('so is one where nothing can be made at all', async () => {
  const { code, lines } = await failure('/proc/concert/data');
  expect(code).toBe(EXIT_UNAVAILABLE);
  expect(lines).toEqual([expect.stringContaining('/proc/concert/data')]);
});

test('a folder that is new is told, and what a dead start left behind is not in the way', async () => {
  const data = join(newFolder(), 'new');
  const suite = await start(data);
  await suite.until(/^concert: new data folder \S+\/new: /m);
  await suite.until(/^Concert is ready$/m);
  const left = readFileSync(join(data, 'running.json'), 'utf8');
  suite.child.kill('SIGTERM');
  expect(await once(suite.child, 'close')).toEqual([0, null]);
  expect(existsSync(join(data, 'running.json'))).toBe(false);
  // its pid is somebody's, its port nobody's
  const { pid } = process;
  writeFileSync(join(data, 'running.json'), JSON.stringify({ ...JSON.parse(left), pid }));
  const again = await start(data);
  await again.until(/^Concert is ready$/m);
  expect(again.output()).not.toContain('new data folder');
});

test('an argument is refused', async () => {
  const child = spawn(process.execPath, ['scripts/supervise.ts', '--data', 'x'], { cwd: ROOT });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  expect(await once(child, 'close')).toEqual([2, null]);
  expect(said).toMatch(
    /^concert: npm start takes no arguments, and was given --data; .*CONCERT_DATA/,
  );
});

test.each([
  ['registry', 'registry.db'],
  ['mail', 'mail.db'],
])('a corrupt %s database is one line that names it', async (folder, name) => {
  const data = newFolder();
  mkdirSync(join(data, folder));
  writeFileSync(join(data, folder, name), 'this is no database, whatever it once was '.repeat(200));
  const { code, lines } = await failure(data);
  expect(code).toBe(EXIT_UNAVAILABLE);
  expect(lines).toEqual([expect.stringContaining(join(data, folder, name))]);
});

test('damage inside the mail database is one line that names it', async () => {
  const data = newFolder();
  const file = join(data, 'mail', 'mail.db');
  const store = await openStore({ url: `sqlite:${file}` });
  await store.close();
  const octets = readFileSync(file);
  // the header stays whole: such damage shows only when a page is read
  octets.fill(0xa5, 2 * PAGE_BYTES);
  writeFileSync(file, octets);
  const { code, lines } = await failure(data);
  expect(code).toBe(EXIT_UNAVAILABLE);
  expect(lines).toEqual([expect.stringContaining(file)]);
});
