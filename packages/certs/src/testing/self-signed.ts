/** Certificates for tests, made on the spot: no key of a test ever lies in the repository. */
import { type KeyObject, randomBytes } from 'node:crypto';
import type { Material as MaterialMessage } from '@mail/proto';
import { bundleToPem, createSelfSigned, type KeyType } from '@mail/x509';
import { fingerprintOf } from '../material.ts';

export interface TestMaterialOptions {
  /** Default 1. */
  readonly generation?: number;
  /** Default localhost. */
  readonly names?: readonly string[];
  /** Default ecdsa-p256. */
  readonly keyType?: KeyType;
  /** Instead of a fresh one of `keyType`. */
  readonly privateKey?: KeyObject;
  /** When the certificate was made; its 90 days run from there. Default now. */
  readonly madeAt?: Date;
  /** Default fresh. */
  readonly ticketSeed?: Buffer;
}

/** What a registry would hand out: a self-signed certificate, its key and a ticket seed. */
export async function makeTestMaterial(
  options: TestMaterialOptions = {},
): Promise<MaterialMessage> {
  const bundle = await createSelfSigned({
    names: options.names ?? ['localhost'],
    keyType: options.keyType ?? 'ecdsa-p256',
    ...(options.privateKey ? { privateKey: options.privateKey } : {}),
    days: 90,
    now: options.madeAt ?? new Date(),
  });
  const fingerprintSha256 = fingerprintOf(bundle.leaf);
  return {
    generation: BigInt(options.generation ?? 1),
    certificateId: fingerprintSha256.slice(0, 12),
    ...bundleToPem(bundle),
    ticketSeed: options.ticketSeed ?? randomBytes(32),
    fingerprintSha256,
  };
}
