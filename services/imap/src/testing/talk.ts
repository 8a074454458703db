/** One client of a scenario with several: says a command, hears everything up to its completion. */
import { connect, type Socket } from 'node:net';

export class Talk {
  readonly #socket: Socket;
  #heard = '';
  #ended = false;
  #wake = () => {};
  /** Told of octets as they come. */
  onHeard: (octets: number) => void = () => {};
  #tags = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#heard += text;
      this.onHeard(text.length);
      this.#wake();
    });
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on('error', () => {});
  }

  /** Connects to a port, or takes a connection; logs in and, where given, selects. */
  static async open(
    where: number | Socket,
    user: string,
    password: string,
    mailbox?: string,
  ): Promise<Talk> {
    const socket = typeof where === 'number' ? connect({ host: '127.0.0.1', port: where }) : where;
    const talk = new Talk(socket);
    await talk.line();
    await talk.say(`LOGIN ${user} "${password}"`);
    if (mailbox !== undefined) await talk.say(`SELECT ${mailbox}`);
    return talk;
  }

  send(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  /** The next line without its end. Rejects at the end of the connection. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#heard.indexOf('\r\n');
      if (end !== -1) {
        const line = this.#heard.slice(0, end);
        this.#heard = this.#heard.slice(end + 2);
        return line;
      }
      if (this.#ended) throw new Error(`the server ended; heard "${this.#heard}"`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Every line up to and with the one that `last` says. */
  async until(last: (line: string) => boolean): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.line();
      lines.push(line);
      if (last(line)) return lines;
    }
  }

  /** Says a command; returns the lines of its answer, its completion without the tag last. */
  async say(command: string): Promise<string[]> {
    this.#tags += 1;
    const tag = `t${this.#tags}`;
    this.send(`${tag} ${command}\r\n`);
    const lines = await this.until((line) => line.startsWith(`${tag} `));
    return [...lines.slice(0, -1), (lines.at(-1) ?? '').slice(tag.length + 1)];
  }

  close(): void {
    this.#socket.destroy();
  }
}
