/** New passwords in every form that logins are checked against. What is stored of them is text. */
import { randomInt } from 'node:crypto';
import { PasswordHasher } from './password.ts';
import { deriveScramKeys, formatScramKeys, scramSalt, sha256 } from './scram-keys.ts';

/** Whose password it is to be: `key` is equal for all spellings of the address. */
export interface PasswordOwner {
  readonly addressKey: string;
  /** Of the store that the account is in. */
  readonly saltSecret: Uint8Array;
}

export interface PreparedPassword {
  /** A PHC string. */
  readonly passwordHash: string;
  /** Undefined where SCRAM cannot be used with the password. */
  readonly scramKeys: string | undefined;
}

export interface NewAppPassword {
  /** Shown once and kept nowhere. */
  readonly password: string;
  readonly hash: string;
  readonly scramKeys: string | undefined;
}

/** Without letters and digits that are taken for one another; 32 of them, so each is five bits. */
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';
const GROUPS = 7;
const GROUP_CHARACTERS = 4;
const FORM = new RegExp(`^[${ALPHABET}]{${GROUPS * GROUP_CHARACTERS}}$`);

/** Throws AuthError: bad-password, busy. */
export async function preparePassword(
  password: string,
  owner: PasswordOwner,
  hasher: PasswordHasher = new PasswordHasher(),
): Promise<PreparedPassword> {
  const passwordHash = await hasher.hash(password);
  return { passwordHash, scramKeys: await scramKeysOf(password, owner) };
}

/** As text. Undefined where SCRAM cannot be used with the password. */
export async function scramKeysOf(
  password: string,
  { addressKey, saltSecret }: PasswordOwner,
): Promise<string | undefined> {
  const keys = await deriveScramKeys(password, scramSalt(saltSecret, addressKey));
  return keys && formatScramKeys(keys);
}

/** 140 random bits as seven groups of four: nobody guesses one, so a fast hash of it is enough. */
export async function createAppPassword(owner: PasswordOwner): Promise<NewAppPassword> {
  const symbol = () => ALPHABET[randomInt(ALPHABET.length)] ?? '';
  const group = () => Array.from({ length: GROUP_CHARACTERS }, symbol).join('');
  const password = Array.from({ length: GROUPS }, group).join('-');
  const hash = hashAppPassword(password) ?? '';
  return { password, hash, scramKeys: await scramKeysOf(password, owner) };
}

/** However it is grouped and in whichever case; undefined for what is no application password. */
export function hashAppPassword(text: string): string | undefined {
  const symbols = text.toLowerCase().replaceAll(/[\s-]/g, '');
  return FORM.test(symbols) ? sha256(symbols).toString('base64url') : undefined;
}
