/** A SCRAM-SHA-256 client (RFC 5802 §5), written apart from the server's side so that each checks the other. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

export interface ScramClientOptions {
  readonly user: string;
  readonly password: string;
  readonly authorizationId?: string;
  /** "n", "y", or the type of a channel binding. */
  readonly binding?: string;
  readonly bindingData?: Uint8Array;
}

const hmac = (key: Uint8Array, data: string) => createHmac('sha256', key).update(data).digest();

export class ScramClient {
  readonly #options: ScramClientOptions;
  readonly #header: string;
  readonly #bare: string;
  #serverSignature = '';

  constructor(options: ScramClientOptions) {
    const { user, authorizationId, binding = 'n' } = options;
    this.#options = options;
    const flag = binding === 'n' || binding === 'y' ? binding : `p=${binding}`;
    this.#header = `${flag},${authorizationId ? `a=${authorizationId}` : ''},`;
    this.#bare = `n=${user},r=${randomBytes(18).toString('base64')}`;
  }

  /** Base64, as everything here. */
  get first(): string {
    return Buffer.from(this.#header + this.#bare).toString('base64');
  }

  final(challenge: string): string {
    const serverFirst = Buffer.from(challenge, 'base64').toString();
    const [, nonce = '', salt = '', iterations] =
      /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? [];
    const { password, bindingData = Buffer.alloc(0) } = this.#options;
    const salted = pbkdf2Sync(
      password,
      Buffer.from(salt, 'base64'),
      Number(iterations),
      32,
      'sha256',
    );
    const bound = Buffer.concat([Buffer.from(this.#header), bindingData]).toString('base64');
    const withoutProof = `c=${bound},r=${nonce}`;
    const message = `${this.#bare},${serverFirst},${withoutProof}`;
    const clientKey = hmac(salted, 'Client Key');
    const signature = hmac(createHash('sha256').update(clientKey).digest(), message);
    const proof = clientKey.map((octet, at) => octet ^ (signature[at] ?? 0));
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), message).toString('base64');
    return Buffer.from(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`).toString(
      'base64',
    );
  }

  /** Whether the server knows the password too. */
  trusts(challenge: string): boolean {
    return Buffer.from(challenge, 'base64').toString() === `v=${this.#serverSignature}`;
  }
}
