/**
 * DNS names: how users and certificates write them, and which presented name covers which host
 * (RFC 9525; internationalised names by UTS #46 and RFC 5890).
 */
import { domainToASCII } from 'node:url';

/** What is no DNS name. `input` is what was given, cut to a printable length. */
export class NameError extends Error {
  readonly code = 'not-a-dns-name';
  readonly input: string;

  constructor(input: string, reason: string) {
    const shown = JSON.stringify(input.slice(0, 80));
    super(`${shown} is no DNS name: ${reason}.`);
    this.name = 'NameError';
    this.input = shown;
  }
}

/** RFC 1035 §2.3.4, without the root's dot. */
const MAX_NAME_LENGTH = 253;
/** U-labels may be longer than the A-labels they stand for, but not by this much. */
const MAX_INPUT_LENGTH = 1_000;
/** RFC 1123 §2.1: letters, digits, hyphen inside, at most 63. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** ASCII that a host name may hold. Screens what a URL parser would decode, such as %2e. */
const NO_HOST_CHARACTER = /[\0-,/:-@[-`{-\x7f]/;
const WILDCARD_PREFIX = '*.';
/** Clients refuse "*.com": the part behind the wildcard needs at least this many labels. */
const MIN_LABELS_UNDER_WILDCARD = 2;

/**
 * A host name as it is compared: A-labels, lower case, without a trailing dot. Takes U-labels and any
 * case. Throws `NameError` for addresses, wildcards and whatever else is no host name.
 */
export function normaliseName(name: string): string {
  if (name.length > MAX_INPUT_LENGTH) throw new NameError(name, 'it is too long');
  if (NO_HOST_CHARACTER.test(name)) {
    throw new NameError(name, 'it holds a character that host names do not have');
  }
  const ascii = domainToASCII(name).toLowerCase();
  const absolute = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  if (absolute.length > MAX_NAME_LENGTH) throw new NameError(name, 'it is too long');
  const labels = absolute.split('.');
  if (!labels.every((label) => LABEL.test(label))) {
    throw new NameError(name, 'a part is empty, too long or not well formed');
  }
  if (/^[0-9]+$/.test(labels.at(-1) ?? '')) {
    throw new NameError(name, 'it is an address, or ends in a number');
  }
  return absolute;
}

/** As `normaliseName`, and takes `*.` in front of the name, as certificates may hold it. */
export function normalisePresentedName(name: string): string {
  if (!name.startsWith(WILDCARD_PREFIX)) return normaliseName(name);
  const base = normaliseName(name.slice(WILDCARD_PREFIX.length));
  if (base.split('.').length < MIN_LABELS_UNDER_WILDCARD) {
    throw new NameError(name, 'a wildcard needs at least two labels behind it');
  }
  return WILDCARD_PREFIX + base;
}

/**
 * Whether a certificate that presents these names is valid for the name (RFC 9525 §6.3). A wildcard
 * counts only as the whole left-most label and stands for exactly one label; `x*.example.org` is no
 * wildcard at all. The name may be a wildcard itself, which only the same wildcard covers. Both sides
 * are compared as `normaliseName` writes them; false for what is no DNS name.
 */
export function nameCovered(name: string, presented: readonly string[]): boolean {
  const wanted = normalisedOrNothing(name);
  if (wanted === undefined) return false;
  const [, parent] = /^[^.*]+\.(.+)$/.exec(wanted) ?? [];
  return presented.some((candidate) => {
    const offered = normalisedOrNothing(candidate);
    if (offered === undefined) return false;
    return offered === wanted || (parent !== undefined && offered === WILDCARD_PREFIX + parent);
  });
}

function normalisedOrNothing(name: string): string | undefined {
  try {
    return normalisePresentedName(name);
  } catch (error) {
    if (error instanceof NameError) return undefined;
    throw error;
  }
}

/** The names of the active certificate that the next one does not cover. */
export function namesLost(active: readonly string[], next: readonly string[]): string[] {
  return active.filter((name) => !nameCovered(name, next));
}

/** The names of the next certificate that the active one does not cover. */
export function namesGained(active: readonly string[], next: readonly string[]): string[] {
  return namesLost(next, active);
}
