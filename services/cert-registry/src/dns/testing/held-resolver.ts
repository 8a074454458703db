/** A resolver that keeps whoever asks waiting until it is let go, and then fails each question. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** RFC 1035 §4.1.1: QR in the third octet; RA and RCODE 2 (SERVFAIL) in the fourth. */
const RESPONSE = 0x80;
const SERVFAIL = 0x82;

export class HeldResolver {
  readonly #socket: Socket;
  readonly #held: { readonly query: Buffer; readonly from: RemoteInfo }[] = [];
  #letGo = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (query, from) => {
      if (this.#letGo) this.#fail(query, from);
      else this.#held.push({ query, from });
    });
  }

  static async start(): Promise<HeldResolver> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new HeldResolver(socket);
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  /** Resolves when a question waits. */
  async asked(): Promise<void> {
    if (this.#held.length === 0) await once(this.#socket, 'message');
  }

  letGo(): void {
    this.#letGo = true;
    for (const { query, from } of this.#held.splice(0)) this.#fail(query, from);
  }

  stop(): void {
    this.#socket.close();
  }

  #fail(query: Buffer, { port, address }: RemoteInfo): void {
    const answer = Buffer.from(query);
    answer[2] = (answer[2] ?? 0) | RESPONSE;
    answer[3] = SERVFAIL;
    this.#socket.send(answer, port, address);
  }
}
