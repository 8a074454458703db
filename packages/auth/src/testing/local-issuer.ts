/** An OpenID Connect issuer on this host: discovery, keys that it can change, tokens, and answers about them. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

interface SigningKey {
  readonly id: string;
  readonly pair: Awaited<ReturnType<typeof generateKeyPair>>;
}

export class LocalIssuer {
  /** Paths that were asked for, in order. */
  readonly asked: string[] = [];
  /** Answers about tokens that are no JWT (RFC 7662), by token. */
  readonly opaque = new Map<string, object>();
  /** Of the last such question. */
  authorization: string | undefined;
  /** Over what discovery says. */
  discovery: object = {};
  /** Answered in the place of everything, where it is set. */
  failure: { status: number; body: string } | undefined;
  readonly #server = createServer((request, response) => {
    void this.#answer(request).then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
  });
  #key: SigningKey | undefined;
  #keys = 0;

  static async start(): Promise<LocalIssuer> {
    const issuer = new LocalIssuer();
    await issuer.changeKey();
    await new Promise<void>((resolve) => issuer.#server.listen(0, '127.0.0.1', resolve));
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The key that tokens were signed with is the issuer's no more. */
  async changeKey(): Promise<void> {
    this.#keys += 1;
    this.#key = { id: `key-${this.#keys}`, pair: await generateKeyPair('ES256') };
  }

  /** A token for "mail" that is good for a minute, unless `claims` says otherwise. */
  async token(claims: Record<string, unknown> = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const { pair, id } = this.#key as SigningKey;
    return new SignJWT({ iss: this.url, aud: 'mail', iat: now, exp: now + 60, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: id })
      .sign(pair.privateKey);
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body: string }> {
    const { url = '' } = request;
    this.asked.push(url);
    if (this.failure !== undefined) return this.failure;
    const ok = (body: object) => ({ status: 200, body: JSON.stringify(body) });
    switch (url) {
      case '/.well-known/openid-configuration':
        return ok({
          issuer: this.url,
          jwks_uri: `${this.url}/keys`,
          introspection_endpoint: `${this.url}/introspect`,
          ...this.discovery,
        });
      case '/keys': {
        const { pair, id } = this.#key as SigningKey;
        const jwk = await exportJWK(pair.publicKey);
        return ok({ keys: [{ ...jwk, kid: id, alg: 'ES256', use: 'sig' }] });
      }
      case '/introspect': {
        this.authorization = request.headers.authorization;
        const token = new URLSearchParams(await text(request)).get('token') ?? '';
        return ok(this.opaque.get(token) ?? { active: false });
      }
      default:
        return { status: 404, body: '{}' };
    }
  }
}
