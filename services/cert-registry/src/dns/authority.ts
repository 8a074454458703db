/** Which zone a name is in, and who serves that zone. */
import { DnsError } from './errors.ts';
import { type QueryOptions, query } from './query.ts';
import { DNS_PORT, type DnsServer } from './server.ts';
import { checkName } from './wire.ts';

/** Name servers of one zone that are asked, and addresses of each. */
const MAX_SERVERS = 16;
const MAX_ADDRESSES = 4;

/** The closest zone above or at `name`, as the resolver knows it. Throws DnsError, as `query` does. */
export async function findZone(
  resolver: DnsServer,
  name: string,
  signal?: AbortSignal,
): Promise<string> {
  const labels = checkName(name).split('.');
  for (let index = 0; index < labels.length; index += 1) {
    const candidate = labels.slice(index).join('.');
    const { records, zone } = await query(resolver, 'SOA', candidate, recursive(signal));
    // where CNAMEs lead is another zone
    if (records.some((record) => record.name.toLowerCase() === candidate)) return candidate;
    if (zone !== undefined && isWithin(candidate, zone)) return zone;
  }
  throw new DnsError('bad-answer', `no zone is known that "${name}" is in`);
}

/**
 * Every address of every name server of `zone`; those whose addresses are not known are left out. Throws
 * DnsError, as `query` does, and bad-answer where none is known.
 */
export async function authoritativeServers(
  resolver: DnsServer,
  zone: string,
  signal?: AbortSignal,
): Promise<DnsServer[]> {
  const { records } = await query(resolver, 'NS', zone, recursive(signal));
  const found: DnsServer[] = [];
  for (const { data } of records.slice(0, MAX_SERVERS)) {
    const hosts = [
      ...(await addresses(resolver, 'A', data, signal)),
      ...(await addresses(resolver, 'AAAA', data, signal)),
    ];
    found.push(...hosts.map((host) => ({ host, port: DNS_PORT })));
  }
  if (found.length > 0) return found;
  throw new DnsError('bad-answer', `no server of the zone "${zone}" has an address`);
}

async function addresses(
  resolver: DnsServer,
  type: 'A' | 'AAAA',
  name: string,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  try {
    const { records } = await query(resolver, type, name, recursive(signal));
    return records.slice(0, MAX_ADDRESSES).map(({ data }) => data);
  } catch (error) {
    if (error instanceof DnsError && error.code !== 'stopped') return [];
    throw error;
  }
}

function recursive(signal: AbortSignal | undefined): QueryOptions {
  return { recursion: true, signal };
}

function isWithin(name: string, zone: string): boolean {
  return name === zone || name.endsWith(`.${zone}`);
}
