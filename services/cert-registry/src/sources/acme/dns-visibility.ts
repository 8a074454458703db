/**
 * The wait until every authoritative server of a zone shows a TXT record: the CA may ask any of them. One
 * that does not answer us does not count; where nobody can be asked, the CA finds out by itself.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@mail/service';
import { authoritativeServers, findZone } from '../../dns/authority.ts';
import { DnsError } from '../../dns/errors.ts';
import { query } from '../../dns/query.ts';
import { type DnsServer, describeServer, systemResolver } from '../../dns/server.ts';
import type { TxtRecord } from './dns-challenge.ts';
import { AcmeError } from './errors.ts';
import { stopReason } from './transport.ts';

const LOOK_MS = 1_000;

export interface VisibilityOptions {
  /** The authoritative servers of the zone that an owner is in. Throws DnsError. */
  readonly serversOf: (owner: string, signal: AbortSignal) => Promise<readonly DnsServer[]>;
  /** 0 does not look. */
  readonly waitMs: number;
  readonly logger: Logger;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
}

/** As the system's resolver knows them. Throws DnsError. */
export async function authoritativeServersOf(
  owner: string,
  signal: AbortSignal,
): Promise<readonly DnsServer[]> {
  const resolver = systemResolver();
  const zone = await findZone(resolver, owner, signal);
  return authoritativeServers(resolver, zone, signal);
}

/** Throws AcmeError: proof-failed where a server does not show a record in time, stopped. */
export async function untilVisible(
  records: readonly TxtRecord[],
  { serversOf, waitMs, logger, now }: VisibilityOptions,
  signal: AbortSignal,
): Promise<void> {
  if (waitMs === 0) return;
  const deadline = now() + waitMs;
  try {
    for (const record of records) {
      const servers = await serversOf(record.owner, signal);
      for (const server of servers) await untilShown(record, server);
    }
  } catch (error) {
    if (signal.aborted) throw stopReason(signal);
    if (!(error instanceof DnsError)) throw error;
    logger.warn({ reason: error.message }, 'cannot see whether the TXT records are there');
  }

  async function untilShown({ owner, text }: TxtRecord, server: DnsServer): Promise<void> {
    while (!(await isShown(server, owner, text, signal))) {
      if (now() >= deadline) {
        throw new AcmeError(
          'proof-failed',
          `${describeServer(server)} does not show the TXT record at ${owner} after ${waitMs / 1000} s; CONCERT_ACME_DNS_WAIT says how long to wait`,
        );
      }
      await sleep(LOOK_MS, undefined, { signal });
    }
  }
}

/** A server that does not answer is not waited for. */
async function isShown(
  server: DnsServer,
  owner: string,
  text: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const { records } = await query(server, 'TXT', owner, { recursion: false, signal });
    return records.some(({ data }) => textOf(data) === text);
  } catch (error) {
    if (error instanceof DnsError && error.code !== 'stopped') return true;
    throw error;
  }
}

/** The strings of one record belong together (RFC 7208 §3.3, and as RFC 8555 means it). */
function textOf(data: unknown): string {
  const strings = Array.isArray(data) ? data : [data];
  return strings
    .map((part) => (Buffer.isBuffer(part) ? part.toString('latin1') : String(part)))
    .join('');
}
