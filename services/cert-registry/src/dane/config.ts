/** The settings of DANE (RFC 7672). */
import { list, ServiceError } from '@mail/service';
import { NameError, normaliseName } from '@mail/x509';
import { z } from 'zod';
import { DnsError } from '../dns/errors.ts';
import { type DnsServer, parseServer, systemResolver } from '../dns/server.ts';

const MAX_OWNERS = 32;
const SMTP_PREFIX = '_25._tcp';

/** "mail.example.org" is "_25._tcp.mail.example.org". Throws NameError. */
function toOwner(name: string): string {
  const [, prefix = SMTP_PREFIX, host = name] =
    /^(_\d{1,5}\._(?:tcp|udp|sctp))\.(.+)$/i.exec(name) ?? [];
  return `${prefix.toLowerCase()}.${normaliseName(host)}`;
}

const owners = list.transform((names, context) => {
  try {
    const found = [...new Set(names.map(toOwner))];
    if (found.length <= MAX_OWNERS) return found;
    context.addIssue({ code: 'custom', message: `wants at most ${MAX_OWNERS} names` });
  } catch (error) {
    if (!(error instanceof NameError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
  }
  return z.NEVER;
});

const server = z.string().transform((text, context) => {
  try {
    return parseServer(text);
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  }
});

export const daneSettings = z.object({
  /** Where your TLSA records are: hosts, or owner names such as _25._tcp.mail.example.org. A host means port 25. Then a switch to a key whose record not every cache has is refused. */
  CONCERT_DANE_NAMES: owners.prefault(''),
  /** The resolver to ask for them, host or host:port, one that validates DNSSEC; by default the system's first. */
  CONCERT_DANE_RESOLVER: server.optional(),
});

export interface DaneConfig {
  /** "_25._tcp.mail.example.org"; at least one. */
  readonly owners: readonly string[];
  readonly resolver: DnsServer;
}

/** Undefined where it is switched off. Throws ServiceError (bad-setting) where no resolver is known. */
export function readDaneConfig(settings: z.output<typeof daneSettings>): DaneConfig | undefined {
  const { CONCERT_DANE_NAMES: names, CONCERT_DANE_RESOLVER: resolver } = settings;
  if (names.length === 0) return undefined;
  try {
    return { owners: names, resolver: resolver ?? systemResolver() };
  } catch (cause) {
    if (!(cause instanceof DnsError)) throw cause;
    const message = `bad settings: CONCERT_DANE_RESOLVER: ${cause.message}`;
    throw new ServiceError('bad-setting', message, { cause });
  }
}

/** The host that a sender connects to: what comes after the port and protocol. */
export function hostOf(owner: string): string {
  return owner.replace(/^_[^.]+\._[^.]+\./, '');
}
