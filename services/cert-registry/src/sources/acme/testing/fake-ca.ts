/**
 * An ACME CA for tests, in the clear on loopback, that does what the real one for tests cannot: renewal
 * information, profiles, rate limits, answers that are wrong. It believes every proof.
 */
import { createPublicKey, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readSigningRequest, renewalInfoId } from '@mail/x509';
import { TestCa } from '../../../testing/test-ca.ts';

const PROBLEM = 'urn:ietf:params:acme:error:';

export interface Reply {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request as it came, and the protected header of its JWS. */
export interface Heard {
  readonly method: string;
  readonly path: string;
  readonly agent: string | undefined;
  readonly header: Readonly<Record<string, unknown>>;
  /** "" of POST-as-GET. */
  readonly payload: unknown;
}

export class FakeCa {
  readonly #server: Server;
  readonly heard: Heard[] = [];
  readonly #ca = new TestCa('Fake');
  readonly #accounts: KeyObject[] = [];
  /** The payload of each order that was asked for. */
  readonly orders: Record<string, unknown>[] = [];
  /** RFC 9773 ids that were asked about. */
  readonly asked: string[] = [];
  /** Of the certificates that were issued. */
  readonly issued: string[] = [];
  #chain = '';
  /** The other chain of the certificate that was issued last, offered under another root. */
  alternateChain = '';
  #status = 'pending';
  /** In place of the usual answer to a path, while it gives one. */
  answer: (path: string, payload: Record<string, unknown>) => Reply | undefined = () => undefined;
  /** Which names it issues for those that are asked for. */
  issuedNames: (asked: readonly string[]) => readonly string[] = (asked) => asked;
  /** What the directory says besides. */
  directory: Record<string, unknown> = {};

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FakeCa> {
    const server = createServer((request, response) => {
      ca.#serve(request, response).catch((error) => {
        response.writeHead(500).end(String(error));
      });
    });
    const ca = new FakeCa(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return ca;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    const text = Buffer.concat(await request.toArray()).toString();
    const jws = text === '' ? {} : JSON.parse(text);
    const decoded = (part: string | undefined): string =>
      Buffer.from(part ?? '', 'base64url').toString();
    this.heard.push({
      method: request.method ?? '',
      path,
      agent: request.headers['user-agent'],
      header: JSON.parse(decoded(jws.protected) || '{}'),
      payload: decoded(jws.payload) && JSON.parse(decoded(jws.payload)),
    });
    const payload = text === '' ? {} : this.#verified(jws, `${this.origin}${path}`);
    if (path === '/order') this.orders.push(payload);
    const {
      status = 200,
      body,
      headers,
    } = this.answer(path, payload) ?? this.#usual(path, payload);
    const type =
      typeof body === 'string'
        ? 'application/pem-certificate-chain'
        : status >= 400
          ? 'application/problem+json'
          : 'application/json';
    response.writeHead(status, {
      'replay-nonce': `n${Math.random()}`,
      'content-type': type,
      ...headers,
    });
    response.end(typeof body === 'string' ? body : JSON.stringify(body ?? {}));
  }

  /** RFC 8555 §6.2: signed by the account, or by the key that becomes one. */
  #verified(
    jws: { protected: string; payload: string; signature: string },
    url: string,
  ): Record<string, unknown> {
    const header = JSON.parse(Buffer.from(jws.protected, 'base64url').toString());
    const known =
      this.#accounts[
        Number(
          String(header.kid ?? '')
            .split('/')
            .at(-1),
        )
      ];
    const key = header.jwk ? createPublicKey({ key: header.jwk, format: 'jwk' }) : known;
    const text = Buffer.from(`${jws.protected}.${jws.payload}`);
    const signature = Buffer.from(jws.signature, 'base64url');
    if (header.url !== url || header.nonce === undefined || key === undefined)
      throw new Error('a bad header');
    if (!verify('sha256', text, { key, dsaEncoding: 'ieee-p1363' }, signature))
      throw new Error('a bad signature');
    if (header.jwk) this.#accounts.push(key);
    return jws.payload === '' ? {} : JSON.parse(Buffer.from(jws.payload, 'base64url').toString());
  }

  #usual(path: string, payload: Record<string, unknown>): Reply {
    const at = this.origin;
    if (path.startsWith('/info/')) {
      this.asked.push(path.slice('/info/'.length));
      return problem(404, 'malformed', 'nothing is suggested');
    }
    switch (path) {
      case '/directory':
        return {
          body: {
            newNonce: `${at}/nonce`,
            newAccount: `${at}/account`,
            newOrder: `${at}/order`,
            ...this.directory,
          },
        };
      case '/account':
        return {
          status: 201,
          body: {},
          headers: { location: `${at}/account/${this.#accounts.length - 1}` },
        };
      case '/order':
        this.#status = 'pending';
        return { status: 201, body: this.#order(), headers: { location: `${at}/order/1` } };
      case '/challenge':
        this.#status = 'ready';
        return { body: {} };
      case '/authorization': {
        const status = this.#status === 'pending' ? 'pending' : 'valid';
        const challenge = { type: 'http-01', url: `${at}/challenge`, status, token: 'a-token' };
        return {
          body: {
            status,
            identifier: { type: 'dns', value: 'localhost' },
            challenges: [challenge],
          },
        };
      }
      case '/finalize':
        this.#issue(String(payload['csr']));
        return { body: this.#order() };
      case '/certificate':
        return { body: this.#chain, headers: { link: `<${at}/alternate>;rel="alternate"` } };
      case '/alternate':
        return { body: this.alternateChain };
      default:
        return { body: this.#order() };
    }
  }

  #order(): Record<string, unknown> {
    const at = this.origin;
    return {
      status: this.#status,
      authorizations: [`${at}/authorization`],
      finalize: `${at}/finalize`,
      ...(this.#status === 'valid' ? { certificate: `${at}/certificate` } : {}),
    };
  }

  #issue(csr: string): void {
    const body = Buffer.from(csr, 'base64url').toString('base64');
    const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${body.replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE REQUEST-----\n`;
    const { names, publicKey } = readSigningRequest(pem);
    const leaf = this.#ca.sign(this.issuedNames(names), publicKey);
    this.issued.push(renewalInfoId(new X509Certificate(leaf)) ?? '');
    this.#chain = `${leaf}\n${this.#ca.intermediatePem}`;
    this.alternateChain = `${leaf}\n${this.#ca.crossSignedIntermediate()}`;
    this.#status = 'valid';
  }
}

export function problem(
  status: number,
  type: string,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return { status, body: { type: `${PROBLEM}${type}`, detail }, headers };
}
