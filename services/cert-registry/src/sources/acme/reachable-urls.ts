/**
 * Which URLs an ACME server may send us to. It names most of those that we ask, and may itself be in strange
 * hands: it does not make us speak with what only this host or its network can reach.
 */
import { BlockList, isIP } from 'node:net';

/** Addresses of this host and of private networks (RFC 6890), also as IPv6 writes IPv4 (RFC 4291, RFC 6052). */
const PRIVATE = new BlockList();
const SUBNETS = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['::', 96],
  ['64:ff9b::', 96],
  ['fc00::', 7],
  ['fe80::', 10],
] as const;
for (const [address, bits] of SUBNETS) PRIVATE.addSubnet(address, bits, familyOf(address));

/** Whether a directory may be at this URL: in the clear only on this host itself. */
export function isAcceptable(url: URL): boolean {
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
}

/**
 * Whether the server whose directory is at `directory` may send us to `url`: to other hosts too, as CAs do,
 * but in the clear, to this host or to an address of a private network only where its directory is so itself.
 */
export function mayFollow(url: URL, directory: URL): boolean {
  if (!isAcceptable(url)) return false;
  if (url.protocol === 'http:' && directory.protocol !== 'http:') return false;
  return url.hostname === directory.hostname || !isPrivate(url) || isPrivate(directory);
}

/** As far as the URL alone tells: what a name leads to is for whoever runs its zone. */
function isPrivate({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$|\.$/g, '');
  if (isIP(host) === 0) return host === 'localhost' || host.endsWith('.localhost');
  return PRIVATE.check(host, familyOf(host));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
