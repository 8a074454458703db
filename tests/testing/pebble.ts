/**
 * A real ACME CA for tests: pebble, and pebble-challtestsrv as the DNS that it asks. Both are Debian's
 * packages; tests that want them are left out where they are missing.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { TestPki } from './pki.ts';
import { freePorts } from './system.ts';

const MISSING = ['pebble', 'pebble-challtestsrv'].filter(
  (program) => spawnSync('which', [program]).status !== 0,
);

/** Whether the tests can run; says once why not. */
export function hasPebble(): boolean {
  if (MISSING.length > 0) {
    console.warn(
      `tests against an ACME CA are left out: ${MISSING.join(' and ')} missing (Debian: pebble)`,
    );
  }
  return MISSING.length === 0;
}

export interface PebbleOptions {
  /** Of the certificates that it issues; years where it is not given. */
  readonly validitySeconds?: number;
  /** Keys of external accounts, base64url by their id; then it wants one of them. */
  readonly externalAccounts?: Readonly<Record<string, string>>;
  /** Of 100 good nonces, how many it refuses; of 100 authorizations that are valid, how many it uses again. */
  readonly refusedNonces?: number;
  readonly reusedAuthorizations?: number;
  /** host:port of a DNS server instead of pebble-challtestsrv's. */
  readonly dnsServer?: string;
}

export interface Pebble {
  readonly directory: string;
  /** PEM file of the CA that the directory's own certificate is from. */
  readonly caFile: string;
  /** Where it looks for the proofs of http-01. */
  readonly httpPort: number;
  /** pebble-challtestsrv's management API. */
  readonly management: string;
  /** What pebble logged so far. */
  log(): string;
  /** SIGKILL and a new start: it has forgotten everything. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export async function startPebble(options: PebbleOptions = {}): Promise<Pebble> {
  const folder = mkdtempSync(join(tmpdir(), 'concert-pebble-'));
  const [port = 0, httpPort = 0, tlsPort = 0, dnsPort = 0, managementPort = 0] = await freePorts(5);
  const pki = await TestPki.make('Pebble');
  const leaf = await pki.issue({ names: ['localhost'] });
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const caFile = file('ca.pem', pki.rootPem);
  const { validitySeconds, externalAccounts } = options;
  const config = file(
    'pebble.json',
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        certificate: file('cert.pem', `${leaf.certificatePem}${pki.intermediatePem}`),
        privateKey: file('key.pem', leaf.privateKeyPem),
        httpPort,
        tlsPort,
        ocspResponderURL: '',
        externalAccountBindingRequired: externalAccounts !== undefined,
        externalAccountMACKeys: externalAccounts ?? {},
        ...(validitySeconds === undefined ? {} : { certificateValidityPeriod: validitySeconds }),
      },
    }),
  );
  const running = new Set<ChildProcess>();
  let log = '';
  const start = async (program: string, args: string[], ready: RegExp): Promise<ChildProcess> => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PEBBLE_VA_NOSLEEP: '1',
        PEBBLE_WFE_NONCEREJECT: String(options.refusedNonces ?? 5),
        PEBBLE_AUTHZREUSE: String(options.reusedAuthorizations ?? 50),
      },
    });
    running.add(child);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const hear = (line: string): void => {
      log += `${line}\n`;
      if (ready.test(line)) resolve();
    };
    createInterface(child.stdout).on('line', hear);
    createInterface(child.stderr).on('line', hear);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${program} ended with ${code}:\n${log}`)));
    await promise;
    return child;
  };
  const end = async (child: ChildProcess): Promise<void> => {
    running.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  const startCa = (): Promise<ChildProcess> =>
    start(
      'pebble',
      ['-config', config, '-dnsserver', options.dnsServer ?? `127.0.0.1:${dnsPort}`],
      /ACME directory available at/,
    );
  await start(
    'pebble-challtestsrv',
    [
      ...['-dns01', `127.0.0.1:${dnsPort}`, '-management', `127.0.0.1:${managementPort}`],
      ...['-defaultIPv6', '', '-http01', '', '-https01', '', '-tlsalpn01', ''],
    ],
    /Starting management server/,
  );
  let ca = await startCa();
  return {
    directory: `https://localhost:${port}/dir`,
    caFile,
    httpPort,
    management: `http://127.0.0.1:${managementPort}`,
    log: () => log,
    async restart() {
      await end(ca);
      ca = await startCa();
    },
    async close() {
      await Promise.all([...running].map(end));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What Concert needs to be told to order there by http-01. */
export function acmeSettings(pebble: Pebble): Record<string, string> {
  return {
    CONCERT_ACME_DIRECTORY: pebble.directory,
    CONCERT_ACME_CA: pebble.caFile,
    CONCERT_ACME_TERMS_AGREED: 'yes',
    CONCERT_ACME_HTTP_LISTEN: `127.0.0.1:${pebble.httpPort}`,
  };
}
