/** Certificates for tests, made on the spot: no key of a test ever lies in the repository. */
import { execFile } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import type { Material as MaterialMessage } from '@mail/proto';
import { fingerprintOf } from '../material.ts';

export interface TestMaterialOptions {
  readonly generation?: number;
  /** Default localhost. */
  readonly names?: readonly string[];
  /** Default fresh. */
  readonly ticketSeed?: Buffer;
}

/** What a registry would hand out: a self-signed P-256 certificate, its key and a ticket seed. */
export async function makeTestMaterial(
  options: TestMaterialOptions = {},
): Promise<MaterialMessage> {
  const names = options.names ?? ['localhost'];
  const { stdout } = await promisify(execFile)('openssl', [
    ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90'.split(' '),
    ...['-keyout', '-', '-out', '-', '-subj', `/CN=${names[0]}`],
    ...['-addext', `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`],
  ]);
  const chainPem = stdout.slice(stdout.indexOf('-----BEGIN CERTIFICATE-----'));
  const fingerprintSha256 = fingerprintOf(new X509Certificate(chainPem));
  return {
    generation: BigInt(options.generation ?? 1),
    certificateId: fingerprintSha256.slice(0, 12),
    chainPem,
    privateKeyPem: stdout.slice(0, stdout.indexOf('-----BEGIN CERTIFICATE-----')),
    ticketSeed: options.ticketSeed ?? randomBytes(32),
    fingerprintSha256,
  };
}
