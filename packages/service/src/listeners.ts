/**
 * How listeners are written in settings: a list of URLs, for example
 *
 *   starttls://0.0.0.0:143 tls://[::]:993?proxy=10.0.0.0/8 none://127.0.0.1:1143?login=plain
 *
 * The scheme is the TLS mode; none:// is for loopback only. Parameters: `proxy` (networks whose connections begin with a PROXY
 * protocol header, repeated or joined by commas), `login` ("tls", the default: log in over TLS only;
 * "plain": also without, only for loopback), `role` (free for the service; SMTP has mx and submission).
 */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';

export type TlsMode = 'implicit' | 'starttls' | 'none';

export interface ListenerConfig {
  /** Address to bind. */
  readonly host: string;
  /** 0 lets the system choose (tests). */
  readonly port: number;
  readonly tls: TlsMode;
  /** Whether credentials are refused on a connection without TLS. */
  readonly requireTlsForLogin: boolean;
  /** CIDR networks whose connections must begin with a PROXY protocol header. */
  readonly proxyFrom: readonly string[];
  readonly role: string | undefined;
}

const MODES: Record<string, TlsMode> = {
  'tls:': 'implicit',
  'starttls:': 'starttls',
  'none:': 'none',
};

function isLoopback(host: string): boolean {
  return (
    host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback')
  );
}

/** Throws Error with one sentence that says what is wrong with `text`. */
export function parseListener(text: string): ListenerConfig {
  // URL takes no port 0 for some schemes and lower-cases hosts only for special ones: fine for us
  if (!URL.canParse(text)) throw new Error(`"${text}" is no listener such as tls://0.0.0.0:993`);
  const url = new URL(text);
  const tls = MODES[url.protocol];
  if (tls === undefined) {
    throw new Error(`"${text}" begins with ${url.protocol}//; use tls://, starttls:// or none://`);
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (host !== 'localhost' && !ipaddr.isValid(host)) {
    throw new Error(`"${text}" wants an IP address to listen on, such as 0.0.0.0, not "${host}"`);
  }
  if (url.port === '') throw new Error(`"${text}" names no port`);
  const known = new Set(['proxy', 'login', 'role']);
  for (const name of url.searchParams.keys()) {
    if (!known.has(name)) throw new Error(`"${text}" has an unknown parameter "${name}"`);
  }
  const proxyFrom = url.searchParams.getAll('proxy').flatMap((value) => value.split(','));
  for (const network of proxyFrom) {
    if (!ipaddr.isValid(network) && !ipaddr.isValidCIDR(network)) {
      throw new Error(`"${text}" wants networks such as 10.0.0.0/8 after proxy=, not "${network}"`);
    }
  }
  if (tls === 'none' && !isLoopback(host)) {
    throw new Error(`"${text}" would carry mail in the clear over the network: only loopback may`);
  }
  const login = url.searchParams.get('login') ?? 'tls';
  if (login !== 'tls' && login !== 'plain')
    throw new Error(`"${text}" wants login=tls or login=plain`);
  if (login === 'plain' && !isLoopback(host)) {
    throw new Error(
      `"${text}" would take passwords in the clear from the network: only loopback may`,
    );
  }
  return {
    host,
    port: Number(url.port),
    tls,
    requireTlsForLogin: login === 'tls',
    proxyFrom: proxyFrom.map((network) =>
      ipaddr.isValidCIDR(network)
        ? network
        : `${network}/${ipaddr.parse(network).kind() === 'ipv4' ? 32 : 128}`,
    ),
    role: url.searchParams.get('role') ?? undefined,
  };
}

/** The schema of a setting that holds one or more listeners. */
export const listeners = z.string().transform((text, context) => {
  try {
    const found = text
      .split(/\s+/)
      .filter((item) => item !== '')
      .map(parseListener);
    if (found.length > 0) return found;
    context.addIssue({
      code: 'custom',
      message: 'wants at least one listener such as tls://0.0.0.0:993',
    });
  } catch (error) {
    context.addIssue({
      code: 'custom',
      message: error instanceof Error ? error.message : String(error),
    });
  }
  return z.NEVER;
});

/** For logs, metrics and tables: "imaps 127.0.0.1:2993", "imap 127.0.0.1:2143". */
export function describeListener(
  protocol: string,
  host: string,
  port: number,
  tls: TlsMode,
): string {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return `${protocol}${tls === 'implicit' ? 's' : ''} ${address}`;
}
