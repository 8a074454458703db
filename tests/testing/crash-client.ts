/**
 * A plain IMAP client for crash tests: one command at a time, every answer taken apart no further than
 * needed, and a connection that is cut told as such, so that it is known what was acknowledged.
 */
import { handshake } from './handshakes.ts';
import type { MailPort } from './system.ts';

/** The server ended before it had answered: what was asked may be done or not. */
export class CutOff extends Error {}

export interface Answer {
  readonly ok: boolean;
  /** The tagged line behind its tag. */
  readonly text: string;
  /** Untagged responses without "* " and the line end, literals in their places. */
  readonly untagged: readonly string[];
}

/** For an answer; the tests' machine may be slow, and is not dead. */
const PATIENCE_MS = 30_000;

export class CrashClient {
  readonly #socket: Awaited<ReturnType<typeof handshake>>['socket'];
  #received = '';
  #cut = false;
  #wake: (() => void) | undefined;
  #tag = 0;
  #selected: string | undefined;

  private constructor(socket: Awaited<ReturnType<typeof handshake>>['socket']) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#received += text;
      this.#wake?.();
    });
    const cut = (): void => {
      this.#cut = true;
      this.#wake?.();
    };
    socket.on('error', cut);
    socket.on('close', cut);
  }

  static async open(port: MailPort, user: string, password: string): Promise<CrashClient> {
    const { socket } = await handshake(port);
    const client = new CrashClient(socket);
    await client.#line();
    await client.ask(`LOGIN "${user}" "${password}"`);
    await client.ask('ENABLE CONDSTORE');
    return client;
  }

  /** Selects it where it is not selected already; gives the untagged responses where it did. */
  async select(mailbox: string): Promise<readonly string[]> {
    if (this.#selected === mailbox) return [];
    this.#selected = undefined;
    const { ok, untagged } = await this.ask(`SELECT ${mailbox}`);
    if (ok) this.#selected = mailbox;
    return untagged;
  }

  /** A non-synchronising literal goes out with the command (RFC 7888). Throws CutOff. */
  async ask(command: string, literal?: Buffer): Promise<Answer> {
    if (this.#cut) throw new CutOff();
    this.#tag += 1;
    const tag = `c${this.#tag}`;
    if (literal === undefined) this.#socket.write(`${tag} ${command}\r\n`);
    else {
      this.#socket.write(`${tag} ${command} {${literal.length}+}\r\n`);
      this.#socket.write(literal);
      this.#socket.write('\r\n');
    }
    const untagged: string[] = [];
    for (;;) {
      const line = await this.#response();
      if (line.startsWith('* ')) untagged.push(line.slice(2));
      else if (line.startsWith(`${tag} `)) {
        const text = line.slice(tag.length + 1);
        return { ok: text.startsWith('OK '), text, untagged };
      }
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  /** A line with the literals that it announces, and what goes on behind them. */
  async #response(): Promise<string> {
    let response = await this.#line();
    for (;;) {
      const [, octets] = /\{(\d+)\}$/.exec(response) ?? [];
      if (octets === undefined) return response;
      response += `\r\n${await this.#take(Number(octets))}`;
      response += await this.#line();
    }
  }

  async #line(): Promise<string> {
    let end = this.#received.indexOf('\r\n');
    for (; end === -1; end = this.#received.indexOf('\r\n')) await this.#more();
    const line = this.#received.slice(0, end);
    this.#received = this.#received.slice(end + 2);
    return line;
  }

  async #take(octets: number): Promise<string> {
    while (this.#received.length < octets) await this.#more();
    const taken = this.#received.slice(0, octets);
    this.#received = this.#received.slice(octets);
    return taken;
  }

  async #more(): Promise<void> {
    if (this.#cut) throw new CutOff();
    const signal = AbortSignal.timeout(PATIENCE_MS);
    await new Promise<void>((wake, reject) => {
      this.#wake = wake;
      signal.addEventListener('abort', () => reject(new Error('no answer')), { once: true });
    });
  }
}
