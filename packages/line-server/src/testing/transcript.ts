/**
 * Runs a written dialogue against a real port, line by line. For tests of services.
 *
 *   # comments and blank lines are skipped
 *   S: * OK <any>                        expects one line; <any> stands for whatever is there
 *   C: a LOGIN alice@example.test pw     sends a line; C lines in a row leave in one packet (pipelining)
 *   S: a OK <any>
 *   S: * OK [UIDVALIDITY <v:number>]     captures digits as "v" (also :word and :any)
 *   C: a SEARCH UID <v>                  a captured name, or one of `variables`, is filled in
 *   S...                                 skips lines until the next S line matches
 *   C- hello                             sends without a line end (the last octets of a literal)
 *   TLS                                  handshakes now, as after STARTTLS
 *   CLOSED                               expects the server to have ended the connection
 *
 * In S lines "<...>" that names nothing known is text, as message ids have it.
 */
import { connect, type Socket } from 'node:net';
import * as tls from 'node:tls';
import { LineReader } from '../line-reader.ts';

export interface TranscriptOptions {
  readonly port: number;
  readonly host?: string;
  /** TLS from the first octet. */
  readonly implicitTls?: boolean;
  /** For TLS; without `ca` any certificate will do. */
  readonly tls?: tls.ConnectionOptions;
  readonly variables?: Readonly<Record<string, string>>;
  /** For the whole dialogue. Default 10 s. */
  readonly timeoutMs?: number;
  /** Called with each line that the server has sent, as expected. */
  readonly onLine?: (line: string) => void;
}

/** The dialogue went otherwise than written: the message shows where and how. */
export class TranscriptError extends Error {
  override readonly name = 'TranscriptError';
}

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const PATTERNS: Record<string, string> = { any: '.*', number: '\\d+', word: '[^\\s()]+' };

/** Runs `transcript`; resolves to what it captured. Rejects with TranscriptError. */
export async function runTranscript(
  transcript: string,
  options: TranscriptOptions,
): Promise<Record<string, string>> {
  const variables: Record<string, string> = { ...options.variables };
  const said: string[] = [];
  const peer = await Peer.connect(options);
  let skipping = false;
  let unsent = '';
  const fail = (number: number, why: string): TranscriptError =>
    new TranscriptError(`line ${number}: ${why}\n${said.slice(-20).join('\n')}`);

  try {
    for (const [index, raw] of transcript.split('\n').entries()) {
      const number = index + 1;
      const text = raw.replace(/^\s+|\r$/g, '');
      if (text === '' || text.startsWith('#')) continue;
      const rest = text.slice(3);
      if (text.startsWith('C:') || text.startsWith('C-')) {
        const line = fill(rest, variables);
        said.push(`C: ${line}`);
        unsent += text.startsWith('C:') ? `${line}\r\n` : line;
        continue;
      }
      if (unsent !== '') peer.send(unsent);
      unsent = '';
      if (text === 'S...') {
        skipping = true;
      } else if (text.startsWith('S:')) {
        const pattern = compile(rest, variables);
        for (;;) {
          const line = await peer.line();
          if (line === undefined) throw fail(number, `wanted ${rest}\nthe server ended`);
          said.push(`S: ${line}`);
          const match = pattern.exec(line);
          if (match) {
            Object.assign(variables, match.groups);
            options.onLine?.(line);
            break;
          }
          if (!skipping) throw fail(number, `wanted ${rest}\ngot    ${line}`);
        }
        skipping = false;
      } else if (text === 'TLS') {
        await peer.startTls();
      } else if (text === 'CLOSED') {
        const line = await peer.line();
        if (line !== undefined) throw fail(number, `wanted the end\ngot    ${line}`);
      } else {
        throw fail(number, `no such direction: ${text}`);
      }
    }
    if (unsent !== '') peer.send(unsent);
    return variables;
  } catch (error) {
    if (error instanceof TranscriptError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new TranscriptError(`${why}\n${said.slice(-20).join('\n')}`, { cause: error });
  } finally {
    peer.close();
  }
}

function fill(text: string, variables: Record<string, string>): string {
  return text.replace(/<([a-zA-Z]\w*)>/g, (whole, name: string) => variables[name] ?? whole);
}

/** A regular expression of an S line, with what it captures as groups. */
function compile(text: string, variables: Record<string, string>): RegExp {
  const pattern = text
    .split(/(<\w+(?::\w+)?>)/)
    .map((piece) => {
      const [, name, kind] = /^<(\w+)(?::(\w+))?>$/.exec(piece) ?? [];
      if (name === 'any' && kind === undefined) return '.*';
      if (name !== undefined && kind !== undefined && PATTERNS[kind]) {
        return `(?<${name}>${PATTERNS[kind]})`;
      }
      const literal = (kind === undefined && variables[name ?? '']) || piece;
      return literal.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    })
    .join('');
  return new RegExp(`^${pattern}$`, 's');
}

/** The client's end of the connection. Lines are Latin-1, so that every octet can be compared. */
class Peer {
  #socket: Socket;
  readonly #tls: tls.ConnectionOptions;
  readonly #signal: AbortSignal;
  readonly #reader = new LineReader();
  #ended = false;
  #wake = () => {};

  static async connect(options: TranscriptOptions): Promise<Peer> {
    const host = options.host ?? '127.0.0.1';
    const socket = connect({ host, port: options.port });
    const peer = new Peer(socket, options);
    await peer.#until('connect');
    if (options.implicitTls) await peer.startTls();
    else peer.#attach();
    return peer;
  }

  private constructor(socket: Socket, options: TranscriptOptions) {
    this.#socket = socket;
    this.#tls = { rejectUnauthorized: options.tls?.ca !== undefined, ...options.tls };
    this.#signal = AbortSignal.timeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  }

  send(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  async line(): Promise<string | undefined> {
    for (;;) {
      const line = this.#reader.takeLine(MAX_LINE_BYTES);
      if (line) return line.toString('latin1');
      if (this.#ended) return undefined;
      await new Promise<void>((resolve, reject) => {
        const late = () => reject(new Error('the server said nothing in time'));
        if (this.#signal.aborted) return late();
        this.#signal.addEventListener('abort', late, { once: true });
        this.#wake = () => {
          this.#signal.removeEventListener('abort', late);
          resolve();
        };
      });
    }
  }

  async startTls(): Promise<void> {
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onClose);
    this.#socket.off('close', this.#onClose);
    this.#socket = tls.connect({ ...this.#tls, socket: this.#socket });
    await this.#until('secureConnect');
    this.#attach();
  }

  close(): void {
    this.#socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#reader.push(chunk);
    this.#wake();
  };

  readonly #onClose = (): void => {
    this.#ended = true;
    this.#wake();
  };

  #attach(): void {
    this.#socket.on('data', this.#onData);
    this.#socket.on('end', this.#onClose);
    this.#socket.on('close', this.#onClose);
    this.#socket.on('error', () => {});
  }

  #until(event: string): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      const late = () => socket.destroy(new Error(`no ${event} in time`));
      this.#signal.addEventListener('abort', late, { once: true });
      socket.once('error', reject);
      socket.once(event, () => {
        socket.off('error', reject);
        this.#signal.removeEventListener('abort', late);
        resolve();
      });
    });
  }
}
