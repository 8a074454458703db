/**
 * TLS clients for the seven ports: one handshake, or a steady stream of them, each with the instant of
 * its ClientHello on CLOCK_MONOTONIC, which all processes of a host share.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import * as tls from 'node:tls';
import type { MailPort, Protocol } from './system.ts';

export interface HandshakeOptions {
  readonly session?: Buffer;
  readonly maxVersion?: tls.SecureVersion;
  readonly alpn?: string[];
  /** Bytes to send together with the STARTTLS command, in the clear. */
  readonly injected?: string;
}

/** An open connection after its handshake. */
export interface Secured {
  readonly socket: tls.TLSSocket;
  /** Nanoseconds, CLOCK_MONOTONIC, right before the ClientHello was written. */
  readonly helloAt: bigint;
  readonly fingerprint: string;
  readonly reused: boolean;
  /** Resolves with the first session that the server gives out. */
  readonly session: Promise<Buffer>;
}

const TIMEOUT_MS = 10_000;

const DIALOGUES: Record<Protocol, readonly { send: string; expect: RegExp }[]> = {
  imap: [
    { send: '', expect: /^\* OK [^\n]*\r\n/ },
    { send: 'a STARTTLS\r\n', expect: /^a OK [^\n]*\r\n/m },
  ],
  pop3: [
    { send: '', expect: /^\+OK[^\n]*\r\n/ },
    { send: 'STLS\r\n', expect: /^\+OK[^\n]*\r\n/ },
  ],
  smtp: [
    { send: '', expect: /^220 [^\n]*\r\n/ },
    { send: 'EHLO client.test\r\n', expect: /^250 [^\n]*\r\n/m },
    { send: 'STARTTLS\r\n', expect: /^220 [^\n]*\r\n/ },
  ],
};

async function readUntil(socket: Socket, wanted: RegExp): Promise<string> {
  let text = '';
  while (!wanted.test(text)) {
    const chunk = socket.read() as Buffer | null;
    if (chunk !== null) text += chunk.toString('latin1');
    else if (socket.readableEnded || socket.destroyed)
      throw new Error(`closed after ${JSON.stringify(text)}`);
    else await Promise.race([once(socket, 'readable'), once(socket, 'end')]);
  }
  return text;
}

/** Opens TCP and goes as far as the server's go-ahead for TLS. */
export async function approach(port: MailPort, injected = ''): Promise<Socket> {
  const socket = connect(port.port, '127.0.0.1');
  socket.setNoDelay();
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`${port.name}: silent for 10 s`)));
  await once(socket, 'connect');
  if (port.startTls) {
    const steps = DIALOGUES[port.protocol];
    for (const [index, { send, expect }] of steps.entries()) {
      if (send !== '') socket.write(index === steps.length - 1 ? send + injected : send);
      await readUntil(socket, expect);
    }
  }
  return socket;
}

/** One whole handshake. Rejects when it fails, whoever is to blame. */
export async function handshake(port: MailPort, options: HandshakeOptions = {}): Promise<Secured> {
  const raw = await approach(port, options.injected);
  raw.setTimeout(0);
  const helloAt = process.hrtime.bigint();
  const socket = tls.connect({
    socket: raw,
    servername: 'localhost',
    rejectUnauthorized: false,
    ...(options.session ? { session: options.session } : {}),
    ...(options.maxVersion ? { maxVersion: options.maxVersion } : {}),
    ...(options.alpn ? { ALPNProtocols: options.alpn } : {}),
  });
  // TLS 1.2 gives it out within the handshake, 1.3 behind it
  const session = new Promise<Buffer>((resolve) => socket.once('session', resolve));
  socket.setTimeout(TIMEOUT_MS, () =>
    socket.destroy(new Error(`${port.name}: no handshake in 10 s`)),
  );
  const closed = once(socket, 'close').then(() => {
    throw new Error(`${port.name}: closed in the handshake`);
  });
  await Promise.race([once(socket, 'secureConnect'), closed]);
  socket.setTimeout(0);
  const { fingerprint256 = '' } = socket.getPeerCertificate();
  return {
    socket,
    helloAt,
    fingerprint: fingerprint256.replaceAll(':', '').toLowerCase(),
    reused: socket.isSessionReused(),
    session,
  };
}

export interface Sample {
  readonly port: string;
  readonly helloAt: bigint;
  /** When the handshake was done here. */
  readonly doneAt: bigint;
  readonly fingerprint: string;
}

export interface LoadReport {
  readonly samples: readonly Sample[];
  readonly failures: readonly string[];
}

/** Handshakes at a steady rate on every port until `stop` is called, each closed at once. */
export function startLoad(
  ports: readonly MailPort[],
  perSecondAndPort: number,
): { stop(): Promise<LoadReport> } {
  const samples: Sample[] = [];
  const failures: string[] = [];
  const underWay = new Set<Promise<void>>();
  const one = async (port: MailPort): Promise<void> => {
    try {
      const { socket, helloAt, fingerprint } = await handshake(port);
      const doneAt = process.hrtime.bigint();
      samples.push({ port: port.name, helloAt, doneAt, fingerprint });
      socket.destroy();
    } catch (error) {
      failures.push(`${port.name}: ${error instanceof Error ? error.message : error}`);
    }
  };
  const timers = ports.map((port, index) => {
    const begin = (): void => {
      const attempt = one(port).finally(() => underWay.delete(attempt));
      underWay.add(attempt);
    };
    const interval = 1000 / perSecondAndPort;
    // spread over the interval, so that the ports take turns
    let timer: NodeJS.Timeout = setTimeout(
      () => {
        begin();
        timer = setInterval(begin, interval);
      },
      (interval * index) / ports.length,
    );
    return () => clearTimeout(timer);
  });
  return {
    async stop() {
      for (const clear of timers) clear();
      await Promise.all(underWay);
      return { samples, failures };
    },
  };
}

/**
 * Skew of one switch as DESIGN has it: the latest ClientHello answered with the old certificate minus
 * the earliest answered with the new one, in milliseconds; 0 where that is negative.
 */
export function skewMs(samples: readonly Sample[], old: string, next: string): number {
  let latestOld: bigint | undefined;
  let earliestNew: bigint | undefined;
  for (const { helloAt, fingerprint } of samples) {
    if (fingerprint === old && (latestOld === undefined || helloAt > latestOld))
      latestOld = helloAt;
    if (fingerprint === next && (earliestNew === undefined || helloAt < earliestNew))
      earliestNew = helloAt;
  }
  if (latestOld === undefined || earliestNew === undefined) return Number.NaN;
  return Math.max(0, Number(latestOld - earliestNew) / 1e6);
}

/**
 * The part of the skew that no delay on the way to the server can explain, in milliseconds: the latest
 * ClientHello answered with the old certificate was sent that long after a handshake that showed the new
 * one was done.
 */
export function provenSkewMs(samples: readonly Sample[], old: string, next: string): number {
  const sent = samples.filter((one) => one.fingerprint === old).map((one) => one.helloAt);
  const done = samples.filter((one) => one.fingerprint === next).map((one) => one.doneAt);
  if (sent.length === 0 || done.length === 0) return Number.NaN;
  const latestOld = sent.reduce((a, b) => (a > b ? a : b));
  const earliestNew = done.reduce((a, b) => (a < b ? a : b));
  return Math.max(0, Number(latestOld - earliestNew) / 1e6);
}
