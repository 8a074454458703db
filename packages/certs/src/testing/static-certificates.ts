/**
 * Certificates without a registry, for the tests of whoever listens: a self-signed certificate in force
 * from the start, and a switch to the next at a word.
 */
import { CurrentMaterial } from '../current-material.ts';
import { buildMaterial, type Material } from '../material.ts';
import { createTlsAcceptor, type TlsAcceptor } from '../tls-listener.ts';
import { makeTestMaterial } from './self-signed.ts';

export interface StaticCertificates {
  readonly current: CurrentMaterial;
  /** The certificates of all generations so far as PEM, for clients to trust. */
  readonly trusted: readonly string[];
  /** `alpn`: our protocols, for example ["imap"]. */
  acceptor(alpn: readonly string[]): TlsAcceptor;
  /** Makes the next generation under a fresh certificate and puts it in force at once. */
  switchToNext(): Promise<Material>;
  close(): void;
}

/** Names default to localhost; generation 1 is in force when this resolves. */
export async function staticCertificates(
  options: { readonly service?: string; readonly names?: readonly string[] } = {},
): Promise<StaticCertificates> {
  const current = new CurrentMaterial();
  const trusted: string[] = [];
  let generation = 0;
  const switchToNext = async (): Promise<Material> => {
    generation += 1;
    const message = await makeTestMaterial({ generation, names: options.names ?? ['localhost'] });
    const material = await buildMaterial(message, options.service ?? 'test');
    trusted.push(material.chainPem);
    current.schedule(material, 0n);
    return material;
  };
  await switchToNext();
  return {
    current,
    trusted,
    acceptor: (alpn) => createTlsAcceptor({ current, alpn, handshakeTimeoutMs: 5_000 }),
    switchToNext,
    close: () => current.close(),
  };
}
