/** A BIND of one test's own: one zone, one key that may update it, on a free loopback port. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TsigAlgorithm } from '../tsig.ts';

export const namedIsMissing = spawnSync('named', ['-V']).error !== undefined;
if (namedIsMissing) console.warn('skipped: tests against BIND want named (Debian: bind9)');

export interface NamedOptions {
  readonly zone: string;
  readonly keyName: string;
  readonly algorithm: TsigAlgorithm;
  /** Base64. */
  readonly secret: string;
  /** Lines of the zone file besides SOA, NS and the address of "ns". */
  readonly records?: readonly string[];
}

export interface Named {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startNamed(options: NamedOptions): Promise<Named> {
  const folder = mkdtempSync(join(tmpdir(), 'concert-named-'));
  const port = await freePort();
  writeFileSync(join(folder, 'zone'), zoneFile(options.records ?? []));
  const configFile = join(folder, 'named.conf');
  writeFileSync(configFile, configuration(folder, port, options));
  // -g: in the foreground, its log on stderr
  const child = spawn('named', ['-g', '-4', '-n', '1', '-c', configFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await running(child);
    return { port, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function running({ stderr }: ChildProcess): Promise<void> {
  if (stderr === null) throw new Error('named has no log');
  const said: string[] = [];
  const lines = createInterface({ input: stderr });
  for await (const line of lines) {
    said.push(line);
    if (line.endsWith(' running')) {
      // what it says from now on is nobody's
      stderr.resume();
      return;
    }
  }
  throw new Error(`named did not start:\n${said.slice(-20).join('\n')}`);
}

function zoneFile(records: readonly string[]): string {
  const head = [
    '$TTL 60',
    '@ IN SOA ns hostmaster 1 3600 600 86400 1',
    '@ IN NS ns',
    'ns IN A 127.0.0.1',
  ];
  return [...head, ...records, ''].join('\n');
}

function configuration(folder: string, port: number, options: NamedOptions): string {
  const { zone, keyName, algorithm, secret } = options;
  return `
    options {
      directory "${folder}";
      pid-file "${folder}/pid";
      session-keyfile "${folder}/session";
      listen-on port ${port} { 127.0.0.1; };
      listen-on-v6 { none; };
      recursion no;
      dnssec-validation no;
      notify no;
    };
    controls { };
    key "${keyName}" { algorithm ${algorithm}; secret "${secret}"; };
    key "other." { algorithm ${algorithm}; secret "${secret}"; };
    zone "${zone}" {
      type primary;
      file "zone";
      update-policy { grant ${keyName} zonesub ANY; };
    };
  `;
}

/** Free for both TCP and UDP a moment ago. */
async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const socket = createSocket('udp4');
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.bind(port, '127.0.0.1', resolve);
      });
      return port;
    } catch {
      // taken for UDP: another
    } finally {
      socket.close();
      server.close();
      await once(server, 'close');
    }
  }
}
