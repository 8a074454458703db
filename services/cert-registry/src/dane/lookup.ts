/** One lookup of the TLSA records at an owner name. */
import { query } from '../dns/query.ts';
import type { DnsServer } from '../dns/server.ts';
import type { TlsaAnswer } from './visibility.ts';

/** Three of them, so that a switch that waits for a lookup is not held up for long. */
const ATTEMPT_MS = 1_000;

/** Throws DnsError. */
export async function lookUpTlsa(
  resolver: DnsServer,
  owner: string,
  signal: AbortSignal,
): Promise<TlsaAnswer> {
  const { records, ttlSeconds, authenticated } = await query(resolver, 'TLSA', owner, {
    recursion: true,
    signal,
    attemptMs: ATTEMPT_MS,
  });
  const associations = records.map(({ data: { certificate, ...rest } }) => ({
    ...rest,
    data: certificate.toString('hex'),
  }));
  return { associations, ttlSeconds, authenticated };
}
