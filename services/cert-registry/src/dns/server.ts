/** DNS servers as settings and the system name them. */
import { getServers } from 'node:dns';
import { isIP, isIPv6 } from 'node:net';
import { DnsError } from './errors.ts';

export interface DnsServer {
  /** A host name or an IP address. */
  readonly host: string;
  readonly port: number;
}

export const DNS_PORT = 53;

/** "host", "host:port", "[2001:db8::1]:port" or a bare IPv6 address. Throws DnsError (bad-server). */
export function parseServer(text: string): DnsServer {
  if (isIPv6(text)) return { host: text, port: DNS_PORT };
  const match = /^(?:\[([^\]]+)\]|([a-z0-9.-]{1,253}))(?::(\d{1,5}))?$/i.exec(text);
  const [, six, name, digits] = match ?? [];
  const host = six ?? name;
  const port = digits === undefined ? DNS_PORT : Number(digits);
  if (host === undefined || port < 1 || port > 65_535 || (six !== undefined && !isIPv6(six))) {
    throw new DnsError(
      'bad-server',
      `wants host or host:port such as 192.0.2.53:53, not "${text.slice(0, 100)}"`,
    );
  }
  return { host, port };
}

/** The first that the system is set to ask. Throws DnsError (bad-server) where there is none. */
export function systemResolver(): DnsServer {
  const [first] = getServers();
  if (first === undefined) {
    throw new DnsError('bad-server', 'the system names no resolver, and no other is set');
  }
  return parseServer(first);
}

/** "192.0.2.53:53", "[2001:db8::1]:53". */
export function describeServer({ host, port }: DnsServer): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
