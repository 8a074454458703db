/** One message to a server and its answer, by UDP (RFC 1035 §4.2.1) or TCP (RFC 7766); all of it bounded. */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { DnsError } from './errors.ts';
import { type DnsServer, describeServer } from './server.ts';
import { TCP_BYTES } from './wire.ts';

const LENGTH_BYTES = 2;

/** Aborts at the caller's word or after the time; tells which as DnsError (stopped, timed-out). */
class Deadline {
  readonly #signal: AbortSignal | undefined;
  readonly #server: DnsServer;
  readonly #timeoutMs: number;
  readonly either: AbortSignal;

  constructor(server: DnsServer, timeoutMs: number, signal: AbortSignal | undefined) {
    this.#server = server;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    const timeout = AbortSignal.timeout(timeoutMs);
    this.either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  }

  explain(cause: unknown): DnsError {
    if (cause instanceof DnsError) return cause;
    const server = describeServer(this.#server);
    if (this.#signal?.aborted) {
      return new DnsError('stopped', `gave up asking ${server}: no longer wanted`, { cause });
    }
    if (this.either.aborted) {
      const message = `the DNS server ${server} did not answer within ${this.#timeoutMs} ms`;
      return new DnsError('timed-out', message, { cause });
    }
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    return new DnsError('unreachable', `cannot reach the DNS server ${server}: ${reason}`, {
      cause,
    });
  }
}

/**
 * Sends once and waits for the first datagram that `accept` makes something of; others, which anybody may
 * send, are passed over. The socket is connected: the system drops what comes from elsewhere, and has
 * chosen its port at random. Throws DnsError (unreachable, timed-out, stopped), and what `accept` throws.
 */
export async function exchangeByUdp<T>(
  server: DnsServer,
  message: Buffer,
  accept: (datagram: Buffer) => T | undefined,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<T> {
  const deadline = new Deadline(server, timeoutMs, signal);
  try {
    const address = await resolved(server.host, deadline.either);
    const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
    try {
      return await new Promise<T>((resolve, reject) => {
        const onAbort = () => reject(deadline.either.reason);
        deadline.either.addEventListener('abort', onAbort, { once: true });
        if (deadline.either.aborted) onAbort();
        socket.once('error', reject);
        socket.on('message', (datagram) => {
          try {
            const accepted = accept(datagram);
            if (accepted !== undefined) resolve(accepted);
          } catch (error) {
            reject(error);
          }
        });
        socket.connect(server.port, address, () => socket.send(message));
      });
    } finally {
      socket.close();
    }
  } catch (error) {
    throw deadline.explain(error);
  }
}

/** Throws DnsError (unreachable, timed-out, bad-answer, stopped). */
export async function exchangeByTcp(
  server: DnsServer,
  message: Buffer,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  const deadline = new Deadline(server, timeoutMs, signal);
  let socket: Socket | undefined;
  try {
    const host = await resolved(server.host, deadline.either);
    socket = connect({ host, port: server.port });
    await once(socket, 'connect', { signal: deadline.either });
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt16BE(message.length);
    socket.write(Buffer.concat([length, message]));
    return await readOne(socket, server, deadline.either);
  } catch (error) {
    throw deadline.explain(error);
  } finally {
    socket?.destroy();
  }
}

async function readOne(socket: Socket, server: DnsServer, signal: AbortSignal): Promise<Buffer> {
  const onAbort = () => socket.destroy(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  let read = Buffer.alloc(0);
  for await (const chunk of socket) {
    read = Buffer.concat([read, chunk]);
    if (read.length < LENGTH_BYTES) continue;
    const wanted = read.readUInt16BE(0);
    if (wanted > TCP_BYTES) {
      throw new DnsError(
        'bad-answer',
        `an answer of ${wanted} bytes from ${describeServer(server)} is more than is taken`,
      );
    }
    if (read.length >= LENGTH_BYTES + wanted) {
      return read.subarray(LENGTH_BYTES, LENGTH_BYTES + wanted);
    }
  }
  throw new DnsError('unreachable', `${describeServer(server)} hung up in place of an answer`);
}

/** Its first address. The system's look-up cannot be ended; after the signal nobody waits for it. */
async function resolved(host: string, signal: AbortSignal): Promise<string> {
  if (isIP(host) !== 0) return host;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const { address } = await Promise.race([lookup(host), promise]);
  return address;
}
