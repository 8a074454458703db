/** Where a PostgreSQL store is and how it is reached, read from its URL. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { ServiceError } from '@mail/service';

export interface PostgresLocation {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** "" for servers that want none. */
  readonly password: string;
  readonly database: string;
  /** Undefined for a connection in the clear. */
  readonly tls: ConnectionOptions | undefined;
  /** For messages: without the password. */
  readonly name: string;
  /** Mail crosses a network in the clear, and nobody has said that it may. */
  readonly carelessly: boolean;
}

const SCHEME = /^postgres(?:ql)?:\/\//;
const PORT = 5432;
const WANTED =
  'CONCERT_STORE wants postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=disable|require|verify-full]';
/** The URL's parameters, named as libpq names them. */
const PARAMETERS = new Set(['sslmode', 'sslrootcert']);

function badSetting(what: string): ServiceError {
  return new ServiceError('bad-setting', `${what}; ${WANTED}`);
}

export function isPostgresUrl(url: string): boolean {
  return SCHEME.test(url);
}

/**
 * Puts password and CA file, which have settings of their own, into a store's URL. What is no URL stays as
 * it is, for parsePostgresUrl to refuse.
 */
export function withCredentials(
  text: string,
  password: string | undefined,
  caFile: string | undefined,
): string {
  const url = URL.parse(text);
  if (url === null) return text;
  if (password !== undefined) url.password = encodeURIComponent(password);
  if (caFile !== undefined) url.searchParams.set('sslrootcert', caFile);
  return url.href;
}

/** Throws ServiceError (bad-setting), which shows nothing of the URL: a password may be anywhere in it. */
export function parsePostgresUrl(text: string): PostgresLocation {
  const url = URL.parse(text);
  if (url === null || !isPostgresUrl(text)) throw badSetting('it is no URL');
  const [user, password, database] = [url.username, url.password, url.pathname.slice(1)].map(
    decode,
  );
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!user || !host || !database || database.includes('/')) {
    throw badSetting('user, host or database is missing');
  }
  if (url.hash !== '' || [...url.searchParams.keys()].some((key) => !PARAMETERS.has(key))) {
    throw badSetting('it has unknown parameters');
  }
  const mode = url.searchParams.get('sslmode') ?? undefined;
  const caFile = url.searchParams.get('sslrootcert') ?? undefined;
  const port = url.port === '' ? PORT : Number(url.port);
  return {
    host,
    port,
    user,
    password: password ?? '',
    database,
    tls: readTls(mode, caFile),
    name: `postgres://${user}@${url.hostname}:${port}/${database}`,
    carelessly: mode === undefined && caFile === undefined && !isLoopback(host),
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw badSetting('a "%" in it must be written "%25"');
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/**
 * sslmode as libpq means it: `require` encrypts, and checks the chain where there is a CA to check it by;
 * `verify-full` checks chain and name, by the CA's file or else by the authorities that Node trusts. A CA
 * alone means `verify-full`.
 */
function readTls(
  mode: string | undefined,
  caFile: string | undefined,
): ConnectionOptions | undefined {
  switch (mode ?? (caFile === undefined ? 'disable' : 'verify-full')) {
    case 'disable':
      if (caFile !== undefined) throw badSetting('CONCERT_STORE_CA makes no sense without TLS');
      return undefined;
    case 'require':
      return caFile === undefined
        ? { minVersion: 'TLSv1.2', rejectUnauthorized: false }
        : {
            minVersion: 'TLSv1.2',
            ca: readCa(caFile),
            checkServerIdentity: () => undefined,
          };
    case 'verify-full':
      return {
        minVersion: 'TLSv1.2',
        ...(caFile === undefined ? {} : { ca: readCa(caFile) }),
      };
    default:
      throw badSetting('sslmode is none that is known');
  }
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new ServiceError('bad-setting', `CONCERT_STORE_CA: cannot read that file (${code})`, {
      cause,
    });
  }
}
