/**
 * The TLS options of every listener, in one place and always whole: Node takes what is left out from
 * its own defaults, so a context that is built from a part of them would quietly lose the rest.
 */
import { constants, createHash, hkdfSync } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';

/** What differs from one generation, or one service, to the next. */
export interface KeyMaterial {
  /** Leaf first. */
  readonly chainPem: string;
  /** PKCS#8. */
  readonly privateKeyPem: string;
  /** 32 bytes, fresh with each generation. */
  readonly ticketSeed: Uint8Array;
}

export const TICKET_SEED_BYTES = 32;

/** Node's ticketKeys: 16 bytes of name, 16 of HMAC key, 16 of AES key. */
const TICKET_KEYS_BYTES = 48;

/** RFC 8446 §4.6.1 allows seven days; the seed changes daily anyway. */
const SESSION_TIMEOUT_S = 24 * 60 * 60;

/**
 * AEAD with forward secrecy alone; the names that begin with TLS_ are TLS 1.3's. AES-128 comes first in
 * both versions: processors hash SHA-256 in hardware and SHA-384 not, which is one part in twenty of a
 * TLS 1.3 handshake.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/**
 * A service's ticket keys at one generation: HKDF-SHA-256(seed, service). Replicas of one service
 * resume each other's sessions; another service or another generation never does.
 */
export function deriveTicketKeys(ticketSeed: Uint8Array, service: string): Buffer {
  const info = `concert ticket keys ${service}`;
  return Buffer.from(hkdfSync('sha256', ticketSeed, '', info, TICKET_KEYS_BYTES));
}

/** The whole option set. The same keys are present whatever the material. */
export function secureContextOptions(material: KeyMaterial, service: string): SecureContextOptions {
  return {
    key: material.privateKeyPem,
    cert: material.chainPem,
    // client certificates are not asked for, so no roots: spares parsing them at the first build
    ca: [],
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    honorCipherOrder: true,
    ecdhCurve: 'auto',
    // a renegotiation (TLS 1.2) would be a handshake under old material after the switch
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ticketKeys: deriveTicketKeys(material.ticketSeed, service),
    sessionIdContext: createHash('sha256').update(service).digest('hex').slice(0, 32),
    sessionTimeout: SESSION_TIMEOUT_S,
  };
}

/** Throws what OpenSSL says when it cannot use the key or the chain. */
export function buildSecureContext(material: KeyMaterial, service: string): SecureContext {
  return createSecureContext(secureContextOptions(material, service));
}
