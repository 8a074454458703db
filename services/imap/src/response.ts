/**
 * The only writer of the wire: responses (RFC 3501 §7, §9); strings within them are strings.ts's. Text is
 * gathered and leaves in large pieces; whoever writes much awaits `room`, so that a client that does
 * not read stops us instead of growing our memory.
 */
import type { Connection } from '@mail/line-server';
import type { RefusalCode } from './errors.ts';

/** Gathered before it is handed to the socket: few large writes cost much less than many small ones. */
const GATHER_OCTETS = 32 * 1024;
/** What is larger goes to the socket as it is; smaller octets are copied behind what is gathered. */
const COPIED_OCTETS = 16 * 1024;

export function encodeFlags(flags: readonly string[]): string {
  return `(${flags.join(' ')})`;
}

/** Response codes that we send with OK, besides those of refusals. */
export type StatusCode =
  | `CAPABILITY ${string}`
  | 'CLOSED'
  | `HIGHESTMODSEQ ${number}`
  | `INPROGRESS ${string}`
  | `MAILBOXID ${string}`
  | `METADATA LONGENTRIES ${number}`
  | `MODIFIED ${string}`
  | `PERMANENTFLAGS ${string}`
  | `UIDNEXT ${number}`
  | `UIDVALIDITY ${number}`
  | `UNSEEN ${number}`
  | `APPENDUID ${string}`
  | `COPYUID ${string}`
  | 'READ-ONLY'
  | 'READ-WRITE'
  | RefusalCode;

const withCode = (code: StatusCode | undefined, text: string): string =>
  code === undefined ? text : `[${code}] ${text}`;

export class ResponseWriter {
  readonly #connection: Connection;
  /** Whole pieces, ahead of `#text`. */
  #pieces: (string | Uint8Array)[] = [];
  #piecesOctets = 0;
  #text = '';
  #room: Promise<void> | undefined;
  #failure: unknown;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** `* line`. */
  untagged(line: string): void {
    this.raw(`* ${line}\r\n`);
  }

  /** `* OK [code] text`. */
  notice(code: StatusCode | undefined, text: string): void {
    this.untagged(`OK ${withCode(code, text)}`);
  }

  /** `tag OK [code] text` and the like: ends a command. */
  tagged(
    tag: string,
    status: 'OK' | 'NO' | 'BAD',
    code: StatusCode | undefined,
    text: string,
  ): void {
    this.raw(`${tag} ${status} ${withCode(code, text)}\r\n`);
  }

  /** `+ text`: asks for more; leaves at once (RFC 3501 §7.5). */
  async goAhead(text: string): Promise<void> {
    this.raw(`+ ${text}\r\n`);
    await this.flush();
  }

  /** A piece of a response, in the octets of its UTF-8. */
  raw(text: string): void {
    this.#text += text;
    if (this.#piecesOctets + this.#text.length >= GATHER_OCTETS) this.#send();
  }

  /** The octets of a literal whose head has been written by `raw`. */
  octets(data: Uint8Array): void {
    if (data.length > COPIED_OCTETS) {
      this.#send();
      this.#watch(this.#connection.write(data));
      return;
    }
    this.#pieces.push(this.#text, data);
    this.#piecesOctets += this.#text.length + data.length;
    this.#text = '';
    if (this.#piecesOctets >= GATHER_OCTETS) this.#send();
  }

  /** Undefined while there is room; else what to await before writing on. Rejects as Connection.write. */
  get room(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return this.#room;
  }

  /** Hands over what is gathered and waits for room. Rejects as Connection.write. */
  async flush(): Promise<void> {
    this.#send();
    await this.room;
  }

  /** Takes the last of what is gathered, for a farewell or STARTTLS's go-ahead, which the connection sends itself. */
  take(): string {
    if (this.#pieces.length > 0) this.#send();
    const text = this.#text;
    this.#text = '';
    return text;
  }

  #send(): void {
    const text = this.#text;
    this.#text = '';
    if (this.#pieces.length === 0) {
      if (text !== '') this.#watch(this.#connection.write(text));
      return;
    }
    const octets = [...this.#pieces, text].map((piece) =>
      typeof piece === 'string' ? Buffer.from(piece) : piece,
    );
    this.#pieces = [];
    this.#piecesOctets = 0;
    this.#watch(this.#connection.write(Buffer.concat(octets)));
  }

  #watch(written: Promise<void>): void {
    const room = written.then(
      () => {
        if (this.#room === room) this.#room = undefined;
      },
      (error: unknown) => {
        this.#failure ??= error;
        throw error;
      },
    );
    // told through `room` and `flush`; nobody may be waiting right now
    room.catch(() => {});
    this.#room = room;
  }
}
