/**
 * Looks at the process's own listeners from outside: a handshake at each port, and which leaf it showed.
 * A switch is called verified by nothing else. All ports at once, each bounded in time and octets.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { PortObservation } from '@mail/proto';
import { fingerprintOf } from './material.ts';

/** One listener's door; a structural match of the type that line-server declares. */
export interface ProbeTarget {
  /** For people and metrics: "imaps 127.0.0.1:2993". */
  readonly listener: string;
  readonly host: string;
  readonly port: number;
  /** What is sent first, before any TLS or greeting; a PROXY header where the listener wants one. */
  readonly preamble?: string;
  /** How to get from the greeting to TLS; undefined for implicit TLS. */
  readonly startTls?: 'imap' | 'pop3' | 'smtp' | undefined;
  /**
   * Told of the probe's own end of its connection before the listener can see it, so that a listener
   * with limits need not count it: a flood of strangers must not hide what the port presents. Returns
   * how to take that back.
   */
  readonly announce?: (address: string, port: number) => () => void;
}

/** Long enough for a busy host, short enough for a report that somebody waits for. */
const PROBE_TIMEOUT_MS = 5_000;
/** Of cleartext in one dialogue, greetings and capabilities included. */
const MAX_DIALOGUE_BYTES = 16 * 1024;

/** What is said, and how the line that ends the answer begins. */
interface Step {
  readonly say: string;
  readonly expect: RegExp;
}

const DIALOGUES: Record<NonNullable<ProbeTarget['startTls']>, readonly Step[]> = {
  // RFC 9051 §6.2.1
  imap: [
    { say: '', expect: /^\* OK\b/i },
    { say: 'p1 STARTTLS\r\n', expect: /^p1 OK\b/i },
  ],
  // RFC 2595 §4
  pop3: [
    { say: '', expect: /^\+OK\b/i },
    { say: 'STLS\r\n', expect: /^\+OK\b/i },
  ],
  // RFC 3207 §4
  smtp: [
    { say: '', expect: /^220 / },
    { say: 'EHLO probe.invalid\r\n', expect: /^250 / },
    { say: 'STARTTLS\r\n', expect: /^220 / },
  ],
};

/** Lines on the way to the awaited one: untagged responses, continuation lines, capabilities. */
const PASSING = /^(\* (?!BYE\b)|\d{3}-)/i;

/** Takes the dialogue up to the go-ahead. */
async function negotiate(socket: Socket, steps: readonly Step[], signal: AbortSignal) {
  const lines = readLines(socket, signal);
  for (const { say, expect } of steps) {
    if (say !== '') socket.write(say);
    for (;;) {
      const { value: line, done } = await lines.next();
      if (done) throw new Error('the server closed the connection before TLS');
      if (expect.test(line)) break;
      if (!PASSING.test(line)) throw new Error(`the server answered ${JSON.stringify(line)}`);
    }
  }
}

/** Lines as they arrive, without their ends. Leaves the socket paused between them. */
async function* readLines(socket: Socket, signal: AbortSignal): AsyncGenerator<string, void> {
  let pending = '';
  let received = 0;
  for (;;) {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) {
      if (socket.readableEnded || socket.destroyed) return;
      await readable(socket, signal);
      continue;
    }
    received += chunk.length;
    if (received > MAX_DIALOGUE_BYTES) throw new Error('the server talks too much before TLS');
    pending += chunk.toString('latin1');
    for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
      const line = pending.slice(0, end).replace(/\r$/, '').slice(0, 200);
      pending = pending.slice(end + 1);
      yield line;
    }
  }
}

/** Resolves when there is something to read, or the socket has come to its end. */
function readable(socket: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      socket.off('readable', proceed).off('end', proceed).off('close', proceed);
      signal.removeEventListener('abort', abort);
    };
    const proceed = () => {
      stop();
      resolve();
    };
    const abort = () => {
      stop();
      reject(signal.reason);
    };
    socket.on('readable', proceed).on('end', proceed).on('close', proceed);
    signal.addEventListener('abort', abort, { once: true });
  });
}

/**
 * Handshakes and resolves with the leaf's fingerprint; who signed it does not matter here. Then it
 * leaves in order: cut off too early, it would look to the server like a handshake that failed.
 */
function handshake(socket: Socket, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = connectTls({ socket, rejectUnauthorized: false, ca: [] });
    signal.addEventListener('abort', () => client.destroy(signal.reason), { once: true });
    client.on('error', reject);
    client.once('close', () => reject(new Error('the server closed the connection')));
    client.once('secureConnect', () => {
      const leaf = client.getPeerX509Certificate();
      if (leaf === undefined) reject(new Error('no certificate was shown'));
      else resolve(fingerprintOf(leaf));
      client.resume();
      client.end();
    });
  });
}

/** A listener on every address is reached through the loopback one. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return isIP(host) === 6 && /^[0:]+$/.test(host) ? '::1' : host;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'timed out';
  return 'code' in error ? `${error.message} (${String(error.code)})` : error.message;
}

/** Waits until the kernel has named the socket's own end, which is before anybody can have accepted it. */
async function announced(socket: Socket, target: ProbeTarget): Promise<(() => void) | undefined> {
  // Node connects to a literal address in its next tick, and the kernel names the end in that call
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const { localAddress, localPort } = socket;
  if (localAddress === undefined || localPort === undefined) return undefined;
  return target.announce?.(localAddress, localPort);
}

async function probe(target: ProbeTarget, signal: AbortSignal): Promise<PortObservation> {
  const { listener, host, port, preamble = '', startTls } = target;
  let socket: Socket | undefined;
  let withdraw: (() => void) | undefined;
  let failure: unknown;
  try {
    // throws for what is no port
    socket = connectTcp({ host: reachableHost(host), port, noDelay: true });
    socket.on('error', (error) => {
      failure ??= error;
    });
    withdraw = await announced(socket, target);
    if (preamble !== '') socket.write(preamble);
    if (startTls !== undefined) await negotiate(socket, DIALOGUES[startTls], signal);
    return { listener, fingerprintSha256: await handshake(socket, signal), error: '' };
  } catch (error) {
    socket?.destroy();
    return { listener, fingerprintSha256: '', error: describe(failure ?? error) };
  } finally {
    withdraw?.();
  }
}

/** Handshakes with every target at once and says what each showed, in order. Never rejects. */
export function probeListeners(
  targets: readonly ProbeTarget[],
  timeoutMs: number = PROBE_TIMEOUT_MS,
): Promise<PortObservation[]> {
  return Promise.all(targets.map((target) => probe(target, AbortSignal.timeout(timeoutMs))));
}
