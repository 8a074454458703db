/** A login store in memory, which says what was asked of it. */
import type { HasId, KnownAppPassword, KnownPassword, LoginStore } from '../login-store.ts';
import type { LoginNote, LoginRecord } from '../shared-throttle.ts';

export interface TestAccount extends HasId {
  readonly address: string;
}

interface TestAppPassword {
  readonly account: TestAccount;
  readonly hash: string;
  readonly scramKeys: string | undefined;
  readonly appPassword: KnownAppPassword;
}

export const SALT_SECRET = Buffer.alloc(32, 7);

/** Address keys as in the store, and simpler: case does not count, nor how the domain is spelt. */
export function parseAddress(text: string): { key: string } | undefined {
  if (!text.includes('@')) return undefined;
  return { key: text.toLowerCase().replace('bücher', 'xn--bcher-kva') };
}

export class MemoryStore implements LoginStore<TestAccount> {
  readonly passwords = new Map<string, KnownPassword & { account: TestAccount }>();
  readonly programs: TestAppPassword[] = [];
  readonly kept = new Map<string, LoginRecord>();
  /** Names of what was asked, in order. */
  readonly asked: string[] = [];
  readonly renewed: { id: number; from: string; to: KnownPassword }[] = [];
  readonly used: number[] = [];
  /** Writes of records. */
  noted = 0;
  onRenew: () => Promise<void> = async () => {};
  now: () => number = () => 0;

  add(address: string, password: KnownPassword): TestAccount {
    const account = { id: this.passwords.size + 1, address };
    this.passwords.set(parseAddress(address)?.key ?? '', { ...password, account });
    return account;
  }

  addProgram(
    account: TestAccount,
    password: { hash: string; scramKeys: string | undefined },
    about: Partial<KnownAppPassword> = {},
  ): void {
    const id = this.programs.length + 1;
    const appPassword = { id, expiresAt: undefined, lastUsedAt: undefined, ...about };
    this.programs.push({ account, ...password, appPassword });
  }

  readonly accounts: LoginStore<TestAccount>['accounts'] = {
    credentials: async (address) => {
      this.asked.push('credentials');
      return this.passwords.get(parseAddress(address)?.key ?? '');
    },
    renewPassword: async (id, from, to) => {
      await this.onRenew();
      this.renewed.push({ id, from, to });
    },
  };

  readonly appPasswords: LoginStore<TestAccount>['appPasswords'] = {
    find: async (address, hash) => {
      this.asked.push('find app password');
      const key = parseAddress(address)?.key;
      return this.programs.find(
        (each) => parseAddress(each.account.address)?.key === key && each.hash === hash,
      );
    },
    keys: async (id) => {
      this.asked.push('keys of app passwords');
      return this.programs.flatMap(({ account, scramKeys, appPassword }) =>
        account.id === id && scramKeys !== undefined ? [{ appPassword, scramKeys }] : [],
      );
    },
    noteUse: async (id) => {
      this.used.push(id);
    },
  };

  readonly logins: LoginStore<TestAccount>['logins'] = {
    saltSecret: async () => SALT_SECRET,
    records: async (keys) => {
      this.asked.push('records');
      return keys.flatMap(({ kind, key }) => this.kept.get(`${kind} ${key}`) ?? []);
    },
    note: async (notes: readonly LoginNote[]) => {
      this.noted += 1;
      for (const { kind, key, failures } of notes) {
        const before = this.kept.get(`${kind} ${key}`)?.failures ?? 0;
        const record = { kind, key, failures: before + failures, lastAt: this.now() };
        this.kept.set(`${kind} ${key}`, record);
      }
    },
  };
}
