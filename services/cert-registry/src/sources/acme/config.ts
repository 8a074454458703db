/** The settings of certificates by ACME. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { KeyType } from '@mail/proto';
import { duration, flag, list, ServiceError } from '@mail/service';
import { NameError, normalisePresentedName } from '@mail/x509';
import { z } from 'zod';
import { DnsError } from '../../dns/errors.ts';
import { parseServer } from '../../dns/server.ts';
import { TSIG_ALGORITHMS, tsigKey } from '../../dns/tsig.ts';
import { checkName } from '../../dns/wire.ts';
import { type ListenAddress, parseAddress } from '../../listen-address.ts';
import type { ArrivalPolicy } from '../arrival-plan.ts';
import { arrivalPolicy, requireWindow } from '../config.ts';
import type { MaintenanceWindow } from '../maintenance-window.ts';
import type { AccountSettings } from './account.ts';
import type { DnsUpdateOptions } from './dns-update.ts';
import { isAcceptable } from './reachable-urls.ts';

/** DNS names, wildcards allowed; each once. */
const presentedNames = list.transform((names, context) => {
  try {
    return [...new Set(names.map(normalisePresentedName))];
  } catch (error) {
    if (!(error instanceof NameError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  }
});

const directoryUrl = z
  .string()
  .refine((text) => URL.canParse(text) && isAcceptable(new URL(text)), {
    error: 'wants an https URL such as https://acme-v02.api.letsencrypt.org/directory',
  });

const contacts = list.pipe(
  z.array(
    z
      .string()
      .regex(/^[^\s@<>,;"?]+@[^\s@<>,;"?]+$/, 'wants mail addresses such as admin@example.org'),
  ),
);

const program = z.string().refine(
  (path) => {
    try {
      accessSync(path, constants.X_OK);
      return isAbsolute(path);
    } catch {
      return false;
    }
  },
  { error: 'wants the absolute path of a program that this user may run' },
);

export const acmeSettings = z.object({
  /** The directory's URL of an ACME CA: then certificates are ordered and renewed by themselves. In the clear (http) only on this host. */
  CONCERT_ACME_DIRECTORY: directoryUrl.optional(),
  /** A PEM file with the only authorities to trust for that URL, for a private CA; by default Node's own list. */
  CONCERT_ACME_CA: z.string().optional(),
  /** Mail addresses for the account. */
  CONCERT_ACME_CONTACT: contacts.prefault(''),
  /** yes where the CA has terms of service and you agree to them. */
  CONCERT_ACME_TERMS_AGREED: flag.prefault('no'),
  /** External account binding: the key's id, as the CA gave it. */
  CONCERT_ACME_EAB_KEY_ID: z.string().optional(),
  /** External account binding: the HMAC key, base64url, as the CA gave it. */
  CONCERT_ACME_EAB_HMAC_KEY: z
    .string()
    .regex(/^[\w+/-]{16,}={0,2}$/, 'wants base64url as the CA gave it')
    .optional(),
  /** Which names to order; by default the required names. Wildcards want dns-01. */
  CONCERT_ACME_NAMES: presentedNames.prefault(''),
  /** How names are proved: http-01 or dns-01. */
  CONCERT_ACME_CHALLENGE: z.enum(['http-01', 'dns-01']).default('http-01'),
  /** Where http-01 is answered, host:port; the CA asks on port 80 of each name. */
  CONCERT_ACME_HTTP_LISTEN: z.string().default('127.0.0.1:5002'),
  /** For dns-01 by RFC 2136: the server that takes updates, host or host:port. */
  CONCERT_ACME_DNS_SERVER: z.string().optional(),
  /** The zone to update there. */
  CONCERT_ACME_DNS_ZONE: z.string().optional(),
  /** The TSIG key's name. */
  CONCERT_ACME_DNS_TSIG_NAME: z.string().optional(),
  /** The TSIG key, base64. */
  CONCERT_ACME_DNS_TSIG_KEY: z.string().optional(),
  /** The TSIG algorithm: hmac-sha256, hmac-sha384 or hmac-sha512. */
  CONCERT_ACME_DNS_TSIG_ALGORITHM: z.enum(TSIG_ALGORITHMS).default('hmac-sha256'),
  /** For dns-01 by a program of yours, called without a shell as PROGRAM add|remove OWNER TEXT. */
  CONCERT_ACME_DNS_HOOK: program.optional(),
  /** How long to wait at most until all authoritative servers show the record; 0s does not look. */
  CONCERT_ACME_DNS_WAIT: duration(0, 3_600_000).prefault('2m'),
  /** The kind of key: ecdsa-p256, ecdsa-p384, rsa-2048 or rsa-4096. */
  CONCERT_ACME_KEY_TYPE: z
    .enum(['ecdsa-p256', 'ecdsa-p384', 'rsa-2048', 'rsa-4096'])
    .default('ecdsa-p256'),
  /** fresh: each certificate has its own key; reuse: all have the same, so that a TLSA record stays. */
  CONCERT_ACME_KEY: z.enum(['fresh', 'reuse']).default('fresh'),
  /** The CA's profile to order by, for example shortlived; by default the CA's own choice. */
  CONCERT_ACME_PROFILE: z
    .string()
    .regex(/^[\x21-\x7e]{1,64}$/, 'wants a word')
    .optional(),
  /** Where the CA offers several chains: the common name of an authority in the one to serve. */
  CONCERT_ACME_PREFERRED_CHAIN: z.string().max(200).optional(),
  /** What to do with a certificate that has come: rotate (at once), window (in the maintenance window) or stage (only hold it and tell). */
  CONCERT_ACME_POLICY: arrivalPolicy.default('rotate'),
});

/** How proofs are given. */
export type ChallengeSettings =
  | { readonly type: 'http-01'; readonly listen: ListenAddress }
  | {
      readonly type: 'dns-01';
      readonly writer: { readonly hook: string } | { readonly update: DnsUpdateOptions };
      readonly waitMs: number;
    };

export interface AcmeConfig {
  readonly account: AccountSettings;
  readonly caPem: string | undefined;
  /** Empty for the required names. */
  readonly names: readonly string[];
  readonly challenge: ChallengeSettings;
  readonly keyType: KeyType;
  /** As describeKey says: "ECDSA P-256". */
  readonly keyTypeName: string;
  readonly keyPolicy: 'fresh' | 'reuse';
  readonly profile: string | undefined;
  readonly preferredChain: string | undefined;
  readonly policy: ArrivalPolicy;
}

const KEY_TYPES = {
  'ecdsa-p256': [KeyType.KEY_TYPE_ECDSA_P256, 'ECDSA P-256'],
  'ecdsa-p384': [KeyType.KEY_TYPE_ECDSA_P384, 'ECDSA P-384'],
  'rsa-2048': [KeyType.KEY_TYPE_RSA_2048, 'RSA 2048'],
  'rsa-4096': [KeyType.KEY_TYPE_RSA_4096, 'RSA 4096'],
} as const;

type Read = z.output<typeof acmeSettings>;

/** Undefined where it is switched off. Throws ServiceError (bad-setting). */
export function readAcmeConfig(
  settings: Read,
  window: MaintenanceWindow | undefined,
): AcmeConfig | undefined {
  const directory = settings.CONCERT_ACME_DIRECTORY;
  if (directory === undefined) return undefined;
  const [keyType, keyTypeName] = KEY_TYPES[settings.CONCERT_ACME_KEY_TYPE];
  requireWindow('CONCERT_ACME_POLICY', settings.CONCERT_ACME_POLICY, window);
  const names = settings.CONCERT_ACME_NAMES;
  if (settings.CONCERT_ACME_CHALLENGE === 'http-01' && names.some((name) => name.startsWith('*'))) {
    throw bad('CONCERT_ACME_NAMES: wildcards want CONCERT_ACME_CHALLENGE=dns-01');
  }
  return {
    account: {
      directoryUrl: directory,
      contact: settings.CONCERT_ACME_CONTACT,
      termsAgreed: settings.CONCERT_ACME_TERMS_AGREED,
      externalAccount: externalAccountOf(settings),
    },
    caPem: settings.CONCERT_ACME_CA === undefined ? undefined : readCa(settings.CONCERT_ACME_CA),
    names,
    challenge: challengeOf(settings),
    keyType,
    keyTypeName,
    keyPolicy: settings.CONCERT_ACME_KEY,
    profile: settings.CONCERT_ACME_PROFILE,
    preferredChain: settings.CONCERT_ACME_PREFERRED_CHAIN,
    policy: settings.CONCERT_ACME_POLICY,
  };
}

function externalAccountOf(settings: Read): AccountSettings['externalAccount'] {
  const keyId = settings.CONCERT_ACME_EAB_KEY_ID;
  const hmacKey = settings.CONCERT_ACME_EAB_HMAC_KEY;
  if (keyId === undefined && hmacKey === undefined) return undefined;
  if (keyId !== undefined && hmacKey !== undefined) return { keyId, hmacKey };
  throw bad('CONCERT_ACME_EAB_KEY_ID and CONCERT_ACME_EAB_HMAC_KEY: each wants the other');
}

function challengeOf(settings: Read): ChallengeSettings {
  if (settings.CONCERT_ACME_CHALLENGE === 'http-01') {
    const setting = 'CONCERT_ACME_HTTP_LISTEN';
    return { type: 'http-01', listen: parseAddress(settings[setting], setting) };
  }
  const hook = settings.CONCERT_ACME_DNS_HOOK;
  const server = settings.CONCERT_ACME_DNS_SERVER;
  const waitMs = settings.CONCERT_ACME_DNS_WAIT;
  if (hook !== undefined && server === undefined)
    return { type: 'dns-01', writer: { hook }, waitMs };
  if (hook !== undefined || server === undefined) {
    throw bad(
      'CONCERT_ACME_CHALLENGE: dns-01 wants either CONCERT_ACME_DNS_SERVER or CONCERT_ACME_DNS_HOOK',
    );
  }
  const zone = settings.CONCERT_ACME_DNS_ZONE;
  const name = settings.CONCERT_ACME_DNS_TSIG_NAME;
  const key = settings.CONCERT_ACME_DNS_TSIG_KEY;
  if (zone === undefined || name === undefined || key === undefined) {
    throw bad(
      'CONCERT_ACME_DNS_SERVER: wants CONCERT_ACME_DNS_ZONE, CONCERT_ACME_DNS_TSIG_NAME and CONCERT_ACME_DNS_TSIG_KEY too',
    );
  }
  const algorithm = settings.CONCERT_ACME_DNS_TSIG_ALGORITHM;
  const update = {
    server: reading('CONCERT_ACME_DNS_SERVER', () => parseServer(server)),
    zone: reading('CONCERT_ACME_DNS_ZONE', () => checkName(zone)),
    key: reading('CONCERT_ACME_DNS_TSIG_KEY', () => tsigKey(name, algorithm, key)),
  };
  return { type: 'dns-01', writer: { update }, waitMs };
}

function reading<T>(setting: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof DnsError) throw bad(`${setting}: ${error.message}`, error);
    throw error;
  }
}

function readCa(path: string): string {
  try {
    const pem = readFileSync(path, 'utf8');
    if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem;
  } catch (cause) {
    throw bad(`CONCERT_ACME_CA: cannot read ${path}`, cause);
  }
  throw bad(`CONCERT_ACME_CA: ${path} holds no certificate as PEM`);
}

function bad(message: string, cause?: unknown): ServiceError {
  return new ServiceError('bad-setting', `bad settings: ${message}`, { cause });
}
