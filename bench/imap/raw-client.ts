/**
 * An IMAP client that does as little as one can: it writes a command, counts the octets that come and looks
 * whether the last line is the completion. Parsing would cost more than some of the servers' answers, and
 * on a machine with few cores be measured with them.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export type Transport = 'plain' | 'tls';
export const TRANSPORTS: readonly Transport[] = ['plain', 'tls'];

export interface Login {
  readonly user: string;
  readonly password: string;
  readonly ports: Readonly<Record<Transport, number>>;
}

/** What a command cost, seen from here. */
export interface Answer {
  readonly ms: number;
  readonly octets: number;
  /** Processor time of this process meanwhile. */
  readonly clientCpuMs: number;
}

/** Pieces in which the last line may have come. */
const PIECES_OF_A_LINE = 64;
const LF = 0x0a;

interface Awaited {
  readonly prefix: string;
  readonly kept: Buffer[] | undefined;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

export class RawClient {
  readonly #socket: Socket;
  #awaited: Awaited | undefined;
  #pieces: Buffer[] = [];
  #octets = 0;
  #tags = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the server ended the connection')));
  }

  /** Connected and logged in. */
  static async open({ user, password, ports }: Login, transport: Transport): Promise<RawClient> {
    const where = { host: '127.0.0.1', port: ports[transport] };
    const socket =
      transport === 'tls'
        ? connectTls({ ...where, servername: 'localhost', rejectUnauthorized: false })
        : connect(where);
    const client = new RawClient(socket);
    await client.#answer('* ');
    await client.ask(`LOGIN ${user} "${password}"`);
    return client;
  }

  /** Sends a command, without its tag and line end; rejects where it is not answered OK. */
  async ask(command: string | Buffer): Promise<Answer> {
    return await this.#measure(command, undefined);
  }

  /** As ask, and gives the text of the answer. For small answers outside of what is measured. */
  async read(command: string): Promise<string> {
    const kept: Buffer[] = [];
    await this.#measure(command, kept);
    return Buffer.concat(kept).toString('latin1');
  }

  /** Sends IDLE; resolves when the server has taken it up. */
  async idle(): Promise<void> {
    const taken = this.#answer('+ ');
    this.#socket.write('idle IDLE\r\n');
    await taken;
  }

  async close(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }

  async #measure(command: string | Buffer, kept: Buffer[] | undefined): Promise<Answer> {
    this.#tags += 1;
    // nothing in the mail looks like it
    const tag = `jq${this.#tags}zq`;
    const line = Buffer.concat([Buffer.from(`${tag} `), Buffer.from(command), Buffer.from('\r\n')]);
    const octets = this.#octets;
    const answered = this.#answer(`${tag} OK`, kept);
    const cpu = process.cpuUsage();
    const began = performance.now();
    this.#socket.write(line);
    await answered;
    const ms = performance.now() - began;
    const { user, system } = process.cpuUsage(cpu);
    return { ms, octets: this.#octets - octets, clientCpuMs: (user + system) / 1_000 };
  }

  #answer(prefix: string, kept?: Buffer[]): Promise<void> {
    return new Promise((done, failed) => {
      this.#awaited = { prefix, kept, done, failed };
    });
  }

  #take(chunk: Buffer): void {
    this.#octets += chunk.length;
    this.#awaited?.kept?.push(chunk);
    this.#pieces.push(chunk);
    if (this.#pieces.length > PIECES_OF_A_LINE) this.#pieces.shift();
    if (chunk.at(-1) !== LF || this.#awaited === undefined) return;
    const { prefix, done } = this.#awaited;
    const line = this.#lastLine(chunk);
    if (line.startsWith(prefix)) {
      this.#awaited = undefined;
      this.#pieces = [];
      done();
    } else if (
      line.startsWith(prefix.slice(0, prefix.indexOf(' ') + 1)) &&
      prefix.endsWith(' OK')
    ) {
      this.#fail(new Error(`the server answered "${line.trim()}"`));
    }
  }

  /** A whole line is at the end of what came; most often within the last piece, and nothing is copied. */
  #lastLine(chunk: Buffer): string {
    const within = chunk.lastIndexOf(LF, -2);
    if (within !== -1) return chunk.toString('latin1', within + 1);
    const end = Buffer.concat(this.#pieces);
    return end.toString('latin1', end.lastIndexOf(LF, -2) + 1);
  }

  #fail(error: Error): void {
    this.#awaited?.failed(error);
    this.#awaited = undefined;
  }
}
