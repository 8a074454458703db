/**
 * One conversation with an ACME server (RFC 8555): its directory, and signed requests under an account's
 * key. acme-client signs, counts nonces and binds external accounts; our transport takes the place of its
 * own, at the one method of it through which everything goes.
 */
import type { Client } from 'acme-client';
import { z } from 'zod';
import { alternateUrls, preferredChain } from './chains.ts';
import { AcmeError, plainText } from './errors.ts';
import {
  type AcmeResponse,
  AcmeTransport,
  readRetryAfter,
  type TransportOptions,
} from './transport.ts';

/** What of a directory is used (RFC 8555 §7.1.1, RFC 9773 §4.1, draft-ietf-acme-profiles §3). */
const directorySchema = z.object({
  newNonce: z.string(),
  newAccount: z.string(),
  newOrder: z.string(),
  renewalInfo: z.string().optional(),
  meta: z
    .object({
      termsOfService: z.string().optional(),
      externalAccountRequired: z.boolean().optional(),
      profiles: z.record(z.string(), z.unknown()).optional(),
    })
    .default({}),
});
export type Directory = z.output<typeof directorySchema>;

export interface ExternalAccount {
  readonly keyId: string;
  /** base64url, as the CA gives it. */
  readonly hmacKey: string;
}

export interface ConnectionOptions extends TransportOptions {
  readonly accountKeyPem: string;
  readonly externalAccount: ExternalAccount | undefined;
}

/** The parts of acme-client below its documented ones; connection.test.ts fails where they have changed. */
interface ClientInternals {
  readonly http: {
    request(url: string, method: string, options?: { data?: unknown }): Promise<AcmeResponse>;
    signedRequest(
      url: string,
      payload: object | null,
      options: { kid?: string; nonce?: string; includeExternalAccountBinding?: boolean },
    ): Promise<AcmeResponse>;
    getDirectory(): Promise<unknown>;
  };
}

/** Servers give one with each answer; each saves a request. */
const NONCES_KEPT = 8;
const CHAIN_TYPE = /^application\/pem-certificate-chain\b/;

export interface Answer {
  readonly body: unknown;
  /** The URL of what was made. */
  readonly location: string | undefined;
  readonly retryAfterMs: number | undefined;
}

export class AcmeConnection {
  readonly directory: Directory;
  readonly #client: Client;
  readonly #internals: ClientInternals;
  readonly #transport: AcmeTransport;
  readonly #nonces: string[];
  readonly #now: () => number;
  #accountUrl: string | undefined;

  private constructor(parts: {
    directory: Directory;
    client: Client;
    transport: AcmeTransport;
    nonces: string[];
    now: () => number;
  }) {
    this.directory = parts.directory;
    this.#client = parts.client;
    this.#internals = internalsOf(parts.client);
    this.#transport = parts.transport;
    this.#nonces = parts.nonces;
    this.#now = parts.now;
  }

  /** Reads the directory. Throws AcmeError. */
  static async open(options: ConnectionOptions): Promise<AcmeConnection> {
    // only where ACME is used: its dependencies take a while to load
    const acme = await import('acme-client');
    const { directoryUrl, accountKeyPem, externalAccount, now } = options;
    const client = new acme.Client({
      directoryUrl,
      accountKey: accountKeyPem,
      ...(externalAccount && {
        externalAccountBinding: { kid: externalAccount.keyId, hmacKey: externalAccount.hmacKey },
      }),
    });
    const transport = new AcmeTransport(options);
    const nonces: string[] = [];
    const { http } = internalsOf(client);
    http.request = async (url, method, { data } = {}) => {
      const response = await transport.request(url, method.toUpperCase(), data);
      const nonce = response.headers['replay-nonce'];
      if (method !== 'head' && typeof nonce === 'string' && nonces.length < NONCES_KEPT) {
        nonces.push(nonce);
      }
      return response;
    };
    try {
      const directory = directorySchema.safeParse(await typed(() => http.getDirectory()));
      if (!directory.success) {
        throw new AcmeError('bad-answer', `${directoryUrl} is no directory of an ACME server`);
      }
      return new AcmeConnection({ directory: directory.data, client, transport, nonces, now });
    } catch (error) {
      transport.close();
      throw error;
    }
  }

  close(): void {
    this.#transport.close();
  }

  /** All requests but newAccount are the account's. Throws AcmeError where the CA may not name such a URL. */
  useAccount(url: string): void {
    this.#transport.checkUrl(url);
    this.#accountUrl = url;
  }

  /** Signed by the key itself, bound to the external account where there is one (RFC 8555 §7.3). */
  async newAccount(payload: object): Promise<Answer> {
    const options = { includeExternalAccountBinding: true };
    return this.#answer(await this.#signed(this.directory.newAccount, payload, options));
  }

  async post(url: string, payload: object): Promise<Answer> {
    return this.#answer(await this.#signed(url, payload, this.#asAccount()));
  }

  /** POST-as-GET (RFC 8555 §6.3). */
  async read(url: string): Promise<Answer> {
    return this.#answer(await this.#signed(url, null, this.#asAccount()));
  }

  /** Without a signature, as RFC 9773 §4.1 has it. */
  async get(url: string): Promise<Answer> {
    return this.#answer(await this.#transport.request(url, 'GET'));
  }

  /** A certificate's chain as PEM; of several the one that chains.ts finds for `preferred`. */
  async chain(url: string, preferred: string | undefined): Promise<string> {
    const { pem, link } = await this.#chainAt(url);
    if (preferred === undefined) return pem;
    const others = await Promise.all(alternateUrls(link, url).map((one) => this.#chainAt(one)));
    return preferredChain([pem, ...others.map((one) => one.pem)], preferred);
  }

  /** What proves that this account answers: for http-01 the whole text, for dns-01 its digest (RFC 8555 §8). */
  proofOf(challenge: {
    readonly type: 'http-01' | 'dns-01';
    readonly token: string;
  }): Promise<string> {
    return this.#client.getChallengeKeyAuthorization({ ...challenge, url: '', status: 'pending' });
  }

  #asAccount(): { kid: string } {
    if (this.#accountUrl === undefined) throw new Error('no account is in use');
    return { kid: this.#accountUrl };
  }

  async #chainAt(url: string): Promise<{ pem: string; link: string | undefined }> {
    const { data, headers } = await this.#signed(url, null, this.#asAccount());
    if (typeof data !== 'string' || !CHAIN_TYPE.test(headers['content-type'] ?? '')) {
      throw new AcmeError('bad-answer', 'the CA answers with something else than a chain');
    }
    return { pem: data, link: [headers['link']].flat().join(', ') };
  }

  async #signed(
    url: string,
    payload: object | null,
    options: Parameters<ClientInternals['http']['signedRequest']>[2],
  ): Promise<AcmeResponse> {
    const nonce = this.#nonces.shift();
    const response = await typed(() =>
      this.#internals.http.signedRequest(url, payload, { ...options, ...(nonce && { nonce }) }),
    );
    // the repetitions are used up
    if (response.status >= 400) {
      throw new AcmeError('bad-answer', 'the CA refuses every nonce that it gives');
    }
    return response;
  }

  #answer({ data, headers }: AcmeResponse): Answer {
    const retryAfterMs = readRetryAfter(headers['retry-after'], this.#now());
    return { body: data, location: headers.location, retryAfterMs };
  }
}

/** What acme-client misses in an answer it tells by a plain Error; anything else is a bug, of it or ours. */
async function typed<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (!(cause instanceof Error) || Object.getPrototypeOf(cause) !== Error.prototype) throw cause;
    throw new AcmeError('bad-answer', `the CA's answer is of no use: ${plainText(cause.message)}`, {
      cause,
    });
  }
}

function internalsOf(client: Client): ClientInternals {
  return client as unknown as ClientInternals;
}
