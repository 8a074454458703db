/** Where the store is. */
import { join } from 'node:path';
import { z } from 'zod';

export const storeSettings = z.object({
  /** "sqlite:/path/to/mail.db"; by default mail/mail.db in the data folder. */
  CONCERT_STORE: z
    .string()
    .regex(/^sqlite:./, 'wants sqlite:PATH')
    .optional(),
});
export type StoreSettings = z.output<typeof storeSettings>;

/** The URL for openStore. */
export function storeUrl(settings: StoreSettings & { readonly CONCERT_DATA: string }): string {
  return settings.CONCERT_STORE ?? `sqlite:${join(settings.CONCERT_DATA, 'mail', 'mail.db')}`;
}
