/**
 * The peer: this system's Dovecot on Maildir, with a configuration, folder and certificate of its own on
 * high ports of loopback. All settings that bear on speed and durability are its defaults but those told in
 * `about`.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { TestPki } from '../../tests/testing/pki.ts';
import { freePorts } from '../../tests/testing/system.ts';
import { type MailServer, memoryOf } from './mail-server.ts';

const USER = 'alice';
const PASSWORD = 'correct-horse-battery';
const START_TIMEOUT_MS = 10_000;
const SETTLE_MS = 500;
/** As root, Dovecot reads mail as another user: any id that is nobody else's does. */
const MAIL_ID = 65_533;

/** Undefined, with a line that says so, where it is not installed. */
export async function openDovecot(): Promise<MailServer | undefined> {
  const path = `${process.env['PATH']}:/usr/sbin:/usr/local/sbin`;
  const found = spawnSync('dovecot', ['--version'], { encoding: 'utf8', env: { PATH: path } });
  if (found.error !== undefined || found.status !== 0) {
    console.warn('skipped: the peer, as dovecot is not installed (Debian: dovecot-imapd)');
    return undefined;
  }
  const version = found.stdout.trim();
  const folder = mkdtempSync(join(tmpdir(), 'concert-dovecot-'));
  const [plain = 0, tls = 0] = await freePorts(2);
  const configuration = join(folder, 'dovecot.conf');
  await layOut(folder, { plain, tls }, configuration);

  let master: ChildProcess | undefined;
  const server: MailServer = {
    name: 'dovecot',
    about: `Dovecot ${version}, Maildir, mail_fsync=optimized (its default: appended messages are synced), imap-login with service_count=0`,
    storeUrl: undefined,
    user: USER,
    password: PASSWORD,
    ports: { plain, tls },
    async start() {
      const child = spawn('dovecot', ['-F', '-c', configuration], {
        env: { PATH: path },
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      master = child;
      const deadline = performance.now() + START_TIMEOUT_MS;
      while (!(await greets(plain))) {
        if (child.exitCode !== null || performance.now() > deadline) {
          throw new Error(`dovecot does not start: ${readLog(folder)}`);
        }
        await pause(20);
      }
    },
    async stop() {
      if (master === undefined || master.exitCode !== null) return;
      const exited = once(master, 'exit');
      const children = childrenOf(master.pid ?? 0);
      master.kill('SIGTERM');
      await exited;
      while (children.some(({ pid }) => isRunning(pid))) await pause(10);
    },
    forget() {
      forgetIndexes(join(folder, 'home'));
    },
    async memory() {
      return memoryOf(await settled(() => imapProcesses(master?.pid ?? 0)));
    },
    async close() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await server.start();
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

async function layOut(
  folder: string,
  ports: { plain: number; tls: number },
  configuration: string,
): Promise<void> {
  const isRoot = process.getuid?.() === 0;
  const { username, uid, gid } = userInfo();
  const mail = isRoot ? { uid: MAIL_ID, gid: MAIL_ID } : { uid, gid };
  const group = execFileSync('id', ['-gn'], { encoding: 'utf8' }).trim();
  const home = join(folder, 'home');
  mkdirSync(home);
  if (isRoot) chownSync(home, mail.uid, mail.gid);
  // the user that reads the mail must come through
  chmodSync(folder, 0o711);
  const pki = await TestPki.make();
  const leaf = await pki.issue({ names: ['localhost'] });
  writeFileSync(join(folder, 'cert.pem'), leaf.certificatePem);
  writeFileSync(join(folder, 'key.pem'), leaf.privateKeyPem, { mode: 0o600 });
  // who is not root cannot become Dovecot's own users
  const users = isRoot
    ? ''
    : `default_internal_user = ${username}
default_login_user = ${username}
default_internal_group = ${group}`;
  writeFileSync(
    configuration,
    `base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/log
protocols = imap
listen = 127.0.0.1
${users}
ssl = yes
ssl_cert = <${folder}/cert.pem
ssl_key = <${folder}/key.pem
disable_plaintext_auth = no
mail_location = maildir:~/Maildir
first_valid_uid = ${mail.uid}
first_valid_gid = ${mail.gid}
passdb {
  driver = static
  args = password=${PASSWORD}
}
userdb {
  driver = static
  args = uid=${mail.uid} gid=${mail.gid} home=${home}/%u
}
mail_max_userip_connections = 10000
default_client_limit = 12000
default_process_limit = 4000
default_vsz_limit = 1G
service imap-login {
  chroot =
  service_count = 0
  process_min_avail = 1
  process_limit = 2
  inet_listener imap {
    port = ${ports.plain}
  }
  inet_listener imaps {
    port = ${ports.tls}
    ssl = yes
  }
}
service imap {
  process_limit = 4000
}
`,
  );
}

function readLog(folder: string): string {
  try {
    return readFileSync(join(folder, 'log'), 'utf8').slice(-500);
  } catch {
    return 'it wrote no log';
  }
}

async function greets(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  const heard = await new Promise<boolean>((resolve) => {
    socket.once('data', () => resolve(true));
    socket.once('close', () => resolve(false));
    socket.once('error', () => resolve(false));
  });
  socket.destroy();
  return heard;
}

/** dovecot.index, its log and cache in each mailbox, and the list's. UIDs are in other files. */
function forgetIndexes(home: string): void {
  for (const entry of readdirSync(home, { recursive: true, withFileTypes: true })) {
    if (/^dovecot\.(list\.)?index/.test(entry.name)) rmSync(join(entry.parentPath, entry.name));
  }
}

interface Child {
  readonly pid: number;
  readonly name: string;
}

function childrenOf(parent: number): Child[] {
  const children: Child[] = [];
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [, name = '', of] = /\((.*)\) \S (\d+)/.exec(text) ?? [];
      if (Number(of) === parent) children.push({ pid, name });
    } catch {
      // it has ended meanwhile
    }
  }
  return children;
}

const imapProcesses = (master: number): number[] =>
  childrenOf(master)
    .filter(({ name }) => /^imap/.test(name))
    .map(({ pid }) => pid);

/** What is the same twice: processes of connections that were closed go a moment later. */
async function settled(list: () => number[]): Promise<number[]> {
  for (let before = list(); ; ) {
    await pause(SETTLE_MS);
    const now = list();
    if (now.join() === before.join()) return now;
    before = now;
  }
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
