/** Account addresses: what is one, how it is kept, and what two are compared by. */
import { domainToASCII } from 'node:url';
import { StoreError } from './errors.ts';

export interface AccountAddress {
  /** Local part as written, domain as lower-case A-labels. */
  readonly address: string;
  readonly domain: string;
  /** Equal for addresses that mean one account: case of the local part is ignored too. */
  readonly key: string;
}

/** RFC 5321 §4.5.3.1: octets of a local part and of a domain. */
const MAX_LOCAL_OCTETS = 64;
const MAX_DOMAIN_OCTETS = 255;

/** A dot-string (RFC 5321 §4.1.2), with UTF-8 (RFC 6531 §3.3). Quoted strings name no account here. */
const LOCAL_PART =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it keeps out
  /^[^\x00-\x20\x7f-\xa0\u2028\u2029"(),.:;<>@[\\\]]+(?:\.[^\x00-\x20\x7f-\xa0\u2028\u2029"(),.:;<>@[\\\]]+)*$/u;
/** What may stand in a domain before it is made A-labels: domainToASCII cuts off what a URL would. */
const DOMAIN_TEXT = /^[0-9A-Za-z.\-\u00a1-\u{10ffff}]+$/u;
const DOMAIN_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** A domain as lower-case A-labels; undefined for what is none. */
export function parseDomain(text: string): string | undefined {
  if (text.length > MAX_DOMAIN_OCTETS || !DOMAIN_TEXT.test(text)) return undefined;
  const domain = domainToASCII(text);
  const labels = domain.split('.');
  if (domain.length > MAX_DOMAIN_OCTETS || !labels.every((label) => DOMAIN_LABEL.test(label))) {
    return undefined;
  }
  // an IPv4 address in one of its spellings
  return /^\d+$/.test(labels.at(-1) ?? '') ? undefined : domain;
}

/** Undefined for what is no `local@domain`. */
export function parseAddress(text: string): AccountAddress | undefined {
  // what is longer is no address, and is kept from the work below
  if (text.length > MAX_LOCAL_OCTETS + 1 + MAX_DOMAIN_OCTETS) return undefined;
  const at = text.lastIndexOf('@');
  const local = text.slice(0, Math.max(at, 0)).normalize('NFC');
  if (!local.isWellFormed() || !LOCAL_PART.test(local)) return undefined;
  if (Buffer.byteLength(local) > MAX_LOCAL_OCTETS) return undefined;
  const domain = parseDomain(text.slice(at + 1));
  if (domain === undefined) return undefined;
  return { address: `${local}@${domain}`, domain, key: `${local.toLowerCase()}@${domain}` };
}

/** Throws StoreError (bad-domain). */
export function requireDomain(text: string): string {
  const domain = parseDomain(text);
  if (domain !== undefined) return domain;
  throw new StoreError('bad-domain', `${JSON.stringify(text.slice(0, 100))} is no domain`);
}

/** What comes before the first of these names the account, what follows is its user's (RFC 5233 §1). */
const TAG_SEPARATOR = '+';

/** The key without its tag: of "alice+lists@x.test" that of alice@x.test. Undefined where there is none. */
export function untaggedKey(key: string): string | undefined {
  const at = key.lastIndexOf('@');
  const tag = key.indexOf(TAG_SEPARATOR);
  return tag > 0 && tag < at ? key.slice(0, tag) + key.slice(at) : undefined;
}

/** Throws StoreError (bad-address). */
export function requireAddress(text: string): AccountAddress {
  const address = parseAddress(text);
  if (address !== undefined) return address;
  throw new StoreError(
    'bad-address',
    `${JSON.stringify(text.slice(0, 100))} is no address; write it as local@domain`,
  );
}
