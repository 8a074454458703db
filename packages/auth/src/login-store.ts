/** What authentication asks of whoever keeps accounts: the part of @mail/store that it uses. */
import type { LoginRecords } from './shared-throttle.ts';

/** Whom a login is for. */
export interface HasId {
  readonly id: number;
}

export interface KnownPassword {
  /** A PHC string. */
  readonly passwordHash: string;
  /** As scram-keys.ts writes them; undefined until the password is known. */
  readonly scramKeys?: string | undefined;
}

export interface KnownAppPassword {
  readonly id: number;
  readonly expiresAt: Date | undefined;
  readonly lastUsedAt: Date | undefined;
}

export interface LoginStore<Account extends HasId> {
  readonly accounts: {
    /** Undefined where there is no such account. */
    credentials(
      address: string,
    ): Promise<(KnownPassword & { readonly account: Account }) | undefined>;
    /** Puts `to` in the place of `from` and of nothing else: the password may have changed meanwhile. */
    renewPassword(id: Account['id'], from: string, to: KnownPassword): Promise<void>;
  };
  readonly appPasswords: {
    find(
      address: string,
      hash: string,
    ): Promise<{ readonly account: Account; readonly appPassword: KnownAppPassword } | undefined>;
    /** None for an id that nobody has. */
    keys(
      id: Account['id'],
    ): Promise<{ readonly appPassword: KnownAppPassword; readonly scramKeys: string }[]>;
    noteUse(id: number): Promise<void>;
  };
  readonly logins: LoginRecords & {
    saltSecret(): Promise<Uint8Array>;
  };
}
