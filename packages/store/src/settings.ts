/** Where the store is. */
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { isPostgresUrl, withCredentials } from './engines/postgres/location.ts';

export const storeSettings = z.object({
  /**
   * "sqlite:/path/to/mail.db", or for services on several hosts "postgres://user@host:5432/database". What
   * its "?sslmode=" says: "disable" no TLS (so without it, with a warning unless the host is loopback);
   * "require" TLS, the server's chain checked where CONCERT_STORE_CA is set; "verify-full" TLS, chain and
   * host name checked. By default mail/mail.db in the data folder.
   */
  CONCERT_STORE: z
    .string()
    .regex(/^(?:sqlite:|postgres:\/\/|postgresql:\/\/)./, 'wants sqlite:PATH or postgres://...')
    .optional(),
  /** Of the user in CONCERT_STORE, where PostgreSQL wants one; it wins over one in the URL. */
  CONCERT_STORE_PASSWORD: z.string().min(1).optional(),
  /**
   * PEM file with the authorities that vouch for PostgreSQL; sslmode is verify-full then unless the URL says
   * otherwise.
   */
  CONCERT_STORE_CA: z.string().min(1).optional(),
});
export type StoreSettings = z.output<typeof storeSettings>;

/** The URL for openStore. It may hold a password: storeName is for messages. */
export function storeUrl(settings: StoreSettings & { readonly CONCERT_DATA: string }): string {
  const { CONCERT_STORE: url, CONCERT_STORE_PASSWORD: password, CONCERT_STORE_CA: ca } = settings;
  if (url === undefined) return `sqlite:${join(settings.CONCERT_DATA, 'mail', 'mail.db')}`;
  if (!isPostgresUrl(url)) return url;
  return withCredentials(url, password, ca === undefined ? undefined : resolve(ca));
}
