/**
 * Marionette, the remote control built into Mozilla's programs: JSON over TCP, each message behind its
 * length ("31:[0,1,...]"). Only what drives Thunderbird's own code: a session in its chrome context.
 */
import { connect, type Socket } from 'node:net';

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

const SCRIPT_TIMEOUT_MS = 60_000;

export class Marionette {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #heard = Buffer.alloc(0);
  #last = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#hear(chunk));
    const end = (error: Error): void => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
    socket.on('error', end);
    socket.on('close', () => end(new Error('the remote control was closed')));
  }

  /** Connects and opens a session; rejects while the program does not listen yet. */
  static async open(port: number): Promise<Marionette> {
    const socket = connect({ host: '127.0.0.1', port });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const marionette = new Marionette(socket);
    await marionette.#command('WebDriver:NewSession', {});
    await marionette.#command('WebDriver:SetTimeouts', { script: SCRIPT_TIMEOUT_MS });
    await marionette.#command('Marionette:SetContext', { value: 'chrome' });
    return marionette;
  }

  /**
   * Runs the body of an asynchronous function in the program's main window and gives what it returns.
   * Rejects with what it throws. `values` are its `arguments`.
   */
  async run<T>(body: string, ...values: readonly unknown[]): Promise<T> {
    const script = `const done = arguments[arguments.length - 1];
      (async function () { ${body} }).apply(globalThis, [...arguments].slice(0, -1)).then(
        (value) => done({ value }),
        (error) => done({ error: String(error?.stack ? error + ' ' + error.stack : error) }));`;
    const answer = (await this.#command('WebDriver:ExecuteAsyncScript', {
      script,
      args: values,
      newSandbox: true,
      sandbox: 'system',
    })) as { value: { value?: T; error?: string } };
    if (answer.value.error !== undefined) throw new Error(answer.value.error);
    return answer.value.value as T;
  }

  /** Ends the program the way its Quit does. */
  async quit(): Promise<void> {
    await this.#command('Marionette:Quit', { flags: ['eForceQuit'] }).catch(() => {});
    this.#socket.destroy();
  }

  #command(name: string, parameters: object): Promise<unknown> {
    this.#last += 1;
    const id = this.#last;
    const text = JSON.stringify([0, id, name, parameters]);
    this.#socket.write(`${Buffer.byteLength(text)}:${text}`);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
  }

  #hear(chunk: Buffer): void {
    this.#heard = Buffer.concat([this.#heard, chunk]);
    for (;;) {
      const colon = this.#heard.indexOf(':');
      if (colon === -1) return;
      const end = colon + 1 + Number(this.#heard.toString('latin1', 0, colon));
      if (this.#heard.length < end) return;
      const message: unknown = JSON.parse(this.#heard.toString('utf8', colon + 1, end));
      this.#heard = this.#heard.subarray(end);
      // the first message is a greeting, an object; answers are [1, id, error, result]
      if (Array.isArray(message)) this.#settle(message[1], message[2], message[3]);
    }
  }

  #settle(id: number, error: { error: string; message: string } | null, result: unknown): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === null) waiting?.resolve(result);
    else waiting?.reject(new Error(`${error.error}: ${error.message}`));
  }
}
