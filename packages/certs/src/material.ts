/**
 * Material of one generation, ready to serve: immutable, built off to the side, and proved by a
 * handshake with itself in memory before anybody gets to see it.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { duplexPair } from 'node:stream';
import { connect, type SecureContext, type SecureVersion, TLSSocket } from 'node:tls';
import type { Material as MaterialMessage } from '@mail/proto';
import type { Logger } from '@mail/service';
import { CertsError } from './errors.ts';
import { buildSecureContext, TICKET_SEED_BYTES } from './secure-context.ts';

/** What one generation terminates TLS with. Holds no key that a log could print. */
export interface Material {
  readonly generation: number;
  readonly certificateId: string;
  /** Lower-case hex of SHA-256 over the leaf's DER. */
  readonly fingerprintSha256: string;
  /** Leaf first. */
  readonly chainPem: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly secureContext: SecureContext;
}

/** A handshake in memory takes a few milliseconds; this only ends one that hangs. */
const SELF_HANDSHAKE_TIMEOUT_MS = 5_000;

/** Lower-case hex without colons, as everywhere in Concert. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase();
}

function unusable(message: string, cause?: unknown): CertsError {
  return new CertsError('unusable-material', message, { cause });
}

function readLeaf(message: MaterialMessage): X509Certificate {
  try {
    return new X509Certificate(message.chainPem);
  } catch (error) {
    throw unusable('the chain holds no certificate that can be read', error);
  }
}

/** The cheap checks; what is merely unwise is the registry's to judge, at import. */
function check(message: MaterialMessage, leaf: X509Certificate): void {
  const fingerprint = fingerprintOf(leaf);
  if (fingerprint !== message.fingerprintSha256) {
    throw unusable(`the leaf is ${fingerprint}, not ${message.fingerprintSha256} as announced`);
  }
  if (message.ticketSeed.length !== TICKET_SEED_BYTES) {
    throw unusable(`the ticket seed has ${message.ticketSeed.length} bytes, not 32`);
  }
  let matches: boolean;
  try {
    matches = leaf.checkPrivateKey(createPrivateKey(message.privateKeyPem));
  } catch (error) {
    throw unusable('the private key cannot be read', error);
  }
  if (!matches) throw unusable('the private key does not belong to the leaf');
}

/** One handshake of the given version over a pair of streams; resolves with the leaf that was shown. */
async function shakeHands(context: SecureContext, version: SecureVersion): Promise<string> {
  const [near, far] = duplexPair();
  const server = new TLSSocket(far, { isServer: true, secureContext: context });
  const client = connect({
    socket: near,
    minVersion: version,
    maxVersion: version,
    // what is being proved is that the key signs for the leaf; who trusts it is the client's matter
    rejectUnauthorized: false,
    ca: [],
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const timer = setTimeout(() => reject(new Error('timed out')), SELF_HANDSHAKE_TIMEOUT_MS);
  server.on('error', reject);
  client.on('error', reject);
  client.once('secureConnect', () => {
    const leaf = client.getPeerX509Certificate();
    if (leaf === undefined) reject(new Error('no certificate was shown'));
    else resolve(fingerprintOf(leaf));
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    client.destroy();
    server.destroy();
  }
}

async function proveItself(context: SecureContext, fingerprint: string): Promise<void> {
  for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
    let shown: string;
    try {
      shown = await shakeHands(context, version);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new CertsError('self-handshake-failed', `${version} in memory: ${why}`, {
        cause: error,
      });
    }
    if (shown !== fingerprint) {
      throw new CertsError('self-handshake-failed', `${version} in memory showed ${shown}`);
    }
  }
}

/**
 * Builds what `service` serves at this generation, and proves it in memory under TLS 1.3 and 1.2. A
 * few milliseconds, in slices of one or two between which the event loop runs. An expired certificate is
 * built like any other: see refuseExpired.
 * @throws CertsError unusable-material, self-handshake-failed
 */
export async function buildMaterial(message: MaterialMessage, service: string): Promise<Material> {
  const leaf = readLeaf(message);
  check(message, leaf);
  let secureContext: SecureContext;
  try {
    secureContext = buildSecureContext(message, service);
  } catch (error) {
    throw unusable('OpenSSL does not take the chain and key', error);
  }
  await proveItself(secureContext, message.fingerprintSha256);
  return Object.freeze({
    generation: Number(message.generation),
    certificateId: message.certificateId,
    fingerprintSha256: message.fingerprintSha256,
    chainPem: message.chainPem,
    notBefore: leaf.validFromDate,
    notAfter: leaf.validToDate,
    secureContext,
  });
}

/**
 * For a certificate that is not in force yet. One that is gets served to its end and beyond: clients that
 * pin it or look away go on, and taking the fleet off the air would mend nothing.
 * @throws CertsError unusable-material
 */
export function refuseExpired({ notAfter }: Material): void {
  if (notAfter <= new Date()) throw unusable(`the certificate ended on ${notAfter.toISOString()}`);
}

/** Tells of material that goes into service, or stays there, although its certificate has ended. */
export function warnIfExpired({ notAfter, generation }: Material, logger: Logger): void {
  if (notAfter > new Date()) return;
  logger.warn(
    { generation, notAfter },
    'the certificate in force has expired; rotate to another: concert cert rotate',
  );
}
