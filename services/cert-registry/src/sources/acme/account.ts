/**
 * The account at the CA (RFC 8555 §7.3): its key, made at first use and sealed, and its URL. Each directory
 * and each external account has one of its own, so that a change of either leads to another account and
 * back again.
 */
import { createHash } from 'node:crypto';
import { generateKey } from '@mail/x509';
import { z } from 'zod';
import type { RegistryDatabase } from '../../database.ts';
import type { KeyVault } from '../../key-vault.ts';
import type { AcmeConnection, ExternalAccount } from './connection.ts';
import { AcmeError } from './errors.ts';

export interface AccountSettings {
  readonly directoryUrl: string;
  /** Mail addresses. */
  readonly contact: readonly string[];
  readonly termsAgreed: boolean;
  readonly externalAccount: ExternalAccount | undefined;
}

/** What is kept in the clear. */
const recordSchema = z.object({ url: z.string(), contact: z.array(z.string()) });

export class AcmeAccount {
  readonly #database: RegistryDatabase;
  readonly #vault: KeyVault;
  readonly #settings: AccountSettings;
  readonly #name: string;

  constructor(database: RegistryDatabase, vault: KeyVault, settings: AccountSettings) {
    this.#database = database;
    this.#vault = vault;
    this.#settings = settings;
    const { directoryUrl, externalAccount } = settings;
    const whose = JSON.stringify([directoryUrl, externalAccount?.keyId ?? '']);
    this.#name = `acme-account/${createHash('sha256').update(whose).digest('hex').slice(0, 32)}`;
  }

  /** Empty before there is an account. */
  get url(): string {
    return this.#record()?.url ?? '';
  }

  /** PKCS#8 as PEM, ECDSA P-256, which every CA takes. */
  async key(): Promise<string> {
    const sealed = this.#database.secret(this.#name);
    if (sealed !== undefined) return this.#vault.open(this.#name, sealed).toString('utf8');
    const made = (await generateKey('ecdsa-p256')).export({ type: 'pkcs8', format: 'pem' });
    this.#database.setSecret(this.#name, this.#vault.seal(this.#name, made));
    return made.toString();
  }

  /** Has the connection speak for the account, which is made or brought up to date first. Throws AcmeError. */
  async enter(connection: AcmeConnection): Promise<void> {
    const known = this.#record();
    if (known === undefined) {
      await this.#register(connection);
      return;
    }
    connection.useAccount(known.url);
    if (known.contact.join() === this.#settings.contact.join()) return;
    await connection.post(known.url, { contact: this.#contact() });
    this.#save(known.url);
  }

  /** The server does not know the account any more; the next `enter` registers its key again. */
  forget(): void {
    this.#database.setSetting(this.#name, '');
  }

  /** A key that is registered already gives the account that it has (RFC 8555 §7.3.1). */
  async #register(connection: AcmeConnection): Promise<void> {
    const { termsAgreed, externalAccount } = this.#settings;
    const { termsOfService, externalAccountRequired } = connection.directory.meta;
    if (termsOfService !== undefined && !termsAgreed) {
      throw new AcmeError(
        'bad-setting',
        `the CA has terms of service, ${termsOfService}: if you agree, set CONCERT_ACME_TERMS_AGREED=yes`,
      );
    }
    if (externalAccountRequired === true && externalAccount === undefined) {
      throw new AcmeError(
        'bad-setting',
        'the CA wants an account with it: set CONCERT_ACME_EAB_KEY_ID and CONCERT_ACME_EAB_HMAC_KEY',
      );
    }
    const { location } = await connection.newAccount({
      ...(termsAgreed && { termsOfServiceAgreed: true }),
      contact: this.#contact(),
    });
    if (location === undefined) {
      throw new AcmeError('bad-answer', 'the CA made an account and did not say where');
    }
    connection.useAccount(location);
    this.#save(location);
  }

  #contact(): string[] {
    return this.#settings.contact.map((address) => `mailto:${address}`);
  }

  #record(): z.output<typeof recordSchema> | undefined {
    const text = this.#database.setting(this.#name);
    return text ? recordSchema.parse(JSON.parse(text)) : undefined;
  }

  #save(url: string): void {
    const record = { url, contact: [...this.#settings.contact] };
    this.#database.setSetting(this.#name, JSON.stringify(record));
  }
}
