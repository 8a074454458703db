/**
 * The wait until every authoritative server of a zone shows a TXT record: the CA may ask any of them. Where
 * the owner is a CNAME, those of the zone that it leads to. One that does not answer us does not count; where
 * nobody can be asked, the CA finds out by itself.
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
/** CNAMEs of other zones that are followed, one after the other; resolvers follow about as many. */
const MAX_ALIASES = 8;

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
    for (const { owner, text } of records) await untilShown([owner], text);
  } catch (error) {
    if (signal.aborted) throw stopReason(signal);
    if (!(error instanceof DnsError)) throw error;
    logger.warn({ reason: error.message }, 'cannot see whether the TXT records are there');
  }

  /** `path` is the owner, after the aliases that have led to it. */
  async function untilShown(path: readonly string[], text: string): Promise<void> {
    const owner = path.at(-1) ?? '';
    const targets = new Set<string>();
    for (const server of await serversOf(owner, signal)) {
      const target = await untilShownBy(server, owner, text);
      if (target !== undefined) targets.add(target);
    }
    for (const target of targets) {
      if (path.length > MAX_ALIASES || path.includes(target)) {
        throw new AcmeError('proof-failed', `the CNAMEs at ${path[0]} lead to no end`);
      }
      await untilShown([...path, target], text);
    }
  }

  /** Where that server leaves it to others, whose owner it is. */
  async function untilShownBy(
    server: DnsServer,
    owner: string,
    text: string,
  ): Promise<string | undefined> {
    for (;;) {
      const seen = await look(server, owner, text, signal);
      if (seen === 'shown') return undefined;
      if (seen !== 'missing') return seen.target;
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

type Seen = 'shown' | 'missing' | { readonly target: string };

/** A server that does not answer is not waited for. */
async function look(
  server: DnsServer,
  asked: string,
  text: string,
  signal: AbortSignal,
): Promise<Seen> {
  try {
    const { records, owner } = await query(server, 'TXT', asked, { recursion: false, signal });
    if (records.some(({ data }) => textOf(data) === text)) return 'shown';
    return owner === asked.toLowerCase() ? 'missing' : { target: owner };
  } catch (error) {
    if (error instanceof DnsError && error.code !== 'stopped') return 'shown';
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
