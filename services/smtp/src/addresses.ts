/** Mailboxes of an envelope, as they are compared and written. Pure. */
import { domainToASCII } from 'node:url';

/** Printable ASCII without what would end a path; UTF-8 would need SMTPUTF8 (RFC 6531). */
const PATH = /^[\x21-\x3b\x3d\x3f-\x7e]+$/;

/** A quoted string that needs no quotes, and what it says (RFC 5321 §4.1.2: they are equivalent). */
const QUOTED = /^"((?:[^"\\]|\\.)*)"$/;
const DOT_STRING = /^[\w!#$%&'*+\-/=?^`{|}~]+(?:\.[\w!#$%&'*+\-/=?^`{|}~]+)*$/;

function unquote(local: string): string {
  const text = QUOTED.exec(local)?.[1]?.replaceAll(/\\(.)/g, '$1');
  return text !== undefined && DOT_STRING.test(text) ? text : local;
}

/**
 * An address with its local part free of needless quotes and its domain as lower-case A-labels:
 * smtp-server has turned those into U-labels. Undefined for what can't stand in an ASCII envelope.
 */
export function toEnvelopeAddress(address: string): string | undefined {
  const at = address.lastIndexOf('@');
  if (at < 0) return PATH.test(address) ? address : undefined;
  const domain = address.slice(at + 1);
  // address literals (RFC 5321 §4.1.3) are no domain names
  const ascii = domain.startsWith('[') ? domain.toLowerCase() : domainToASCII(domain);
  const whole = `${unquote(address.slice(0, at))}@${ascii}`;
  return ascii !== '' && PATH.test(whole) ? whole : undefined;
}

/** Whether two envelope addresses are one mailbox here, where case does not count. */
export function isSameMailbox(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
