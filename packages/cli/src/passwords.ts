/** Passwords as the command makes them, for accounts that are in the store. */
import { AuthError, type PasswordOwner, preparePassword } from '@mail/auth';
import type { MailStore, NewPassword } from '@mail/store';
import { CliError } from './errors.ts';

/** Whose password it is to be. Throws CliError (usage) for what is no address. */
export async function passwordOwner(store: MailStore, address: string): Promise<PasswordOwner> {
  // loaded only here, as withStore does
  const { parseAddress } = await import('@mail/store');
  const parsed = parseAddress(address);
  if (parsed === undefined) {
    throw new CliError('usage', `${address} is no address such as alice@example.com`);
  }
  return { addressKey: parsed.key, saltSecret: await store.logins.saltSecret() };
}

/** A new password as the store keeps it. Throws CliError (usage) for one that can't be taken. */
export async function newPassword(
  store: MailStore,
  address: string,
  password: string,
): Promise<NewPassword> {
  const owner = await passwordOwner(store, address);
  try {
    return await preparePassword(password, owner);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    throw new CliError('usage', error.message, { cause: error });
  }
}
