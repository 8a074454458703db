/** The registry's settings, their defaults, and every limit that it puts on what callers may send. */
import { join } from 'node:path';
import {
  commonSettings,
  duration,
  list,
  parseSettings,
  ServiceError,
  type Settings,
  wholeNumber,
} from '@mail/service';
import { NameError, normaliseName } from '@mail/x509';
import { z } from 'zod';
import { type DaneConfig, daneSettings, readDaneConfig } from './dane/config.ts';
import { type ListenAddress, parseAddress } from './listen-address.ts';
import { type NotifyConfig, notifySettings, readNotifyConfig } from './notify/config.ts';
import { type AcmeConfig, acmeSettings, readAcmeConfig } from './sources/acme/config.ts';
import { readSourcesConfig, type SourcesConfig, sourceSettings } from './sources/config.ts';

/** Limits on calls and on what is kept. Sizes in bytes, times in milliseconds. */
export const LIMITS = {
  /** Largest message taken from a caller; import alone needs more than a few kilobytes. */
  receiveBytes: 1024 * 1024,
  /**
   * Largest message sent, as ours takes it: the fleet at its limit, every text of it at its own. What
   * `subscribers` with a handful of ports come to stays below what gRPC clients take by default (4 MiB).
   */
  sendBytes: 64 * 1024 * 1024,
  /** A page of rotations stops here, since each may list a thousand subscribers. */
  pageBytes: 2 * 1024 * 1024,
  certificates: 10_000,
  /** Imports and makings of keys: each costs much memory or a second of a thread. */
  costlyCalls: { atOnce: 4, waiting: 64 },
  names: 100,
  labelLength: 200,
  /** Of Hello. */
  instanceLength: 128,
  versionLength: 64,
  /** Of Rejected. */
  codeBytes: 64,
  detailBytes: 500,
  /** Of what ports are said to have served. */
  observedPorts: 32,
  listenerBytes: 64,
  fingerprintBytes: 64,
  portErrorBytes: 200,
  selfSignedDays: 825,
  pageRows: 1_000,
  /** Open TCP connections. */
  connections: 3_000,
  /** HTTP/2 streams at once on one connection. */
  callsPerConnection: 64,
  subscribers: 2_500,
  fleetWatchers: 64,
  rotationsKept: 1_000,
  auditEventsKept: 100_000,
  tlsHandshakeMs: 10_000,
  /** Until Hello must have come on a new Subscribe stream. */
  helloMs: 10_000,
  /** What waits for one subscriber that does not read. */
  unreadBytes: 256 * 1024,
  unreadMessages: 500,
  keepaliveMs: 20_000,
  keepaliveTimeoutMs: 10_000,
  /** prepare_timeout_ms and drain_grace_ms of a call. */
  prepareTimeoutMs: { least: 100, most: 300_000 },
  drainGraceMs: { least: 1, most: 3_600_000 },
} as const;

/** Defaults of calls that leave a figure at 0. */
export const DEFAULTS = {
  selfSignedDays: 90,
  drainGraceMs: 5_000,
  pageRows: 50,
} as const;

/** Life of the identities and when they are due for another. */
export const IDENTITY = {
  caDays: 3650,
  serviceDays: 90,
  registryDays: 30,
  /** Renewed once less than this part of the life is left. */
  renewBelow: 1 / 3,
  /** How often the registry looks at its own. */
  checkMs: 3_600_000,
} as const;

/** After a ticket seed could not be changed, or another rotation was under way. */
export const TICKET_SEED_RETRY_MS = 300_000;
/** Timers longer than this are set again: Node's own limit is 24 days, and wall clocks are set. */
export const MAX_TIMER_MS = 3_600_000;
/** How long a stream's end may take to show whether it was meant or the connection broke. */
export const GOODBYE_SETTLE_MS = 50;
/** Watchers of the fleet hear at most this often. */
export const FLEET_INTERVAL_MS = 100;
/**
 * A rotation's stream tells each outcome in a small fleet, and those of a larger one the less often the
 * larger it is: each message lists all.
 */
export const PROGRESS = { smallFleet: 32, msPerSubscriber: 0.25 } as const;

/** DNS names, normalised; at least one. */
const hostNames = list.transform((names, context) => {
  try {
    if (names.length > 0) return names.map(normaliseName);
    context.addIssue({ code: 'custom', message: 'wants at least one DNS name' });
  } catch (error) {
    if (!(error instanceof NameError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
  }
  return z.NEVER;
});

const settingsSchema = commonSettings.extend({
  ...notifySettings.shape,
  ...sourceSettings.shape,
  ...daneSettings.shape,
  ...acmeSettings.shape,
  /** host:port of the gRPC listener. */
  CONCERT_REGISTRY_LISTEN: z.string().default('127.0.0.1:7443'),
  /** The vault's key, 32 bytes as base64 or hex; by default a file registry/vault.key is made in the data folder. */
  CONCERT_REGISTRY_KEY: z.string().optional(),
  /** First required names, and the names of the first certificate. */
  CONCERT_REGISTRY_NAMES: hostNames.prefault('localhost'),
  /** DNS names under which generic gRPC clients reach the registry; ours go by its identity. */
  CONCERT_REGISTRY_HOSTS: hostNames.prefault('localhost'),
  /** Where identities are written; by default identities in the data folder. */
  CONCERT_IDENTITIES: z.string().optional(),
  /** Which identities lie there after a start. */
  CONCERT_REGISTRY_IDENTITIES: list.prefault(
    'service/smtp service/pop service/imap operator/admin',
  ),
  /** How long a subscriber that is not heard of counts as alive. */
  CONCERT_REGISTRY_LEASE: duration(1_000, 3_600_000).prefault('30s'),
  /** How often subscribers extend their lease; by default a quarter of it. */
  CONCERT_REGISTRY_HEARTBEAT: duration(50).optional(),
  /** How long subscribers may take to get ready, where the call does not say. */
  CONCERT_REGISTRY_PREPARE_TIMEOUT: duration(100, 300_000).prefault('10s'),
  /** After this long without a switch the ticket seed changes by one of its own. */
  CONCERT_REGISTRY_TICKET_SEED_AGE: duration(250, 7 * 86_400_000).prefault('24h'),
  /** Life of an identity in days; 90 where it does not say. */
  CONCERT_REGISTRY_IDENTITY_DAYS: wholeNumber(1, 825).prefault(String(IDENTITY.serviceDays)),
});

export interface RegistryConfig {
  readonly folder: string;
  readonly databaseFile: string;
  readonly lockFile: string;
  readonly vaultKeyFile: string;
  readonly vaultKey: string | undefined;
  readonly listen: ListenAddress;
  readonly names: readonly string[];
  /** Whether they were set, rather than the default. */
  readonly namesAreSet: boolean;
  readonly hosts: readonly string[];
  readonly identitiesFolder: string;
  /** "service/imap", "operator/admin". */
  readonly identities: readonly string[];
  readonly identityDays: number;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly prepareTimeoutMs: number;
  readonly ticketSeedAgeMs: number;
  readonly notify: NotifyConfig;
  readonly sources: SourcesConfig;
  /** Undefined where it is switched off. */
  readonly dane: DaneConfig | undefined;
  /** Undefined where it is switched off. */
  readonly acme: AcmeConfig | undefined;
}

/** Throws ServiceError (bad-setting). */
export function readConfig(settings: Settings): RegistryConfig {
  const read = parseSettings(settingsSchema, settings);
  const folder = join(read.CONCERT_DATA, 'registry');
  const sources = readSourcesConfig(read);
  const leaseMs = read.CONCERT_REGISTRY_LEASE;
  const heartbeatMs = read.CONCERT_REGISTRY_HEARTBEAT ?? Math.ceil(leaseMs / 4);
  if (heartbeatMs > leaseMs / 2) {
    throw new ServiceError(
      'bad-setting',
      'bad settings: CONCERT_REGISTRY_HEARTBEAT: wants at most half of CONCERT_REGISTRY_LEASE, so that one lost heartbeat costs no lease',
    );
  }
  return {
    folder,
    databaseFile: join(folder, 'registry.db'),
    lockFile: join(folder, 'registry.lock'),
    vaultKeyFile: join(folder, 'vault.key'),
    vaultKey: read.CONCERT_REGISTRY_KEY,
    listen: parseAddress(read.CONCERT_REGISTRY_LISTEN, 'CONCERT_REGISTRY_LISTEN'),
    names: read.CONCERT_REGISTRY_NAMES,
    namesAreSet: (settings['CONCERT_REGISTRY_NAMES'] ?? '') !== '',
    hosts: read.CONCERT_REGISTRY_HOSTS,
    identitiesFolder: read.CONCERT_IDENTITIES ?? join(read.CONCERT_DATA, 'identities'),
    identities: read.CONCERT_REGISTRY_IDENTITIES,
    identityDays: read.CONCERT_REGISTRY_IDENTITY_DAYS,
    leaseMs,
    heartbeatMs,
    prepareTimeoutMs: read.CONCERT_REGISTRY_PREPARE_TIMEOUT,
    ticketSeedAgeMs: read.CONCERT_REGISTRY_TICKET_SEED_AGE,
    notify: readNotifyConfig(read),
    dane: readDaneConfig(read),
    sources,
    acme: readAcmeConfig(read, sources.window),
  };
}
