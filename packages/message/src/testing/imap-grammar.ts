/** Whether IMAP data is an ENVELOPE or a BODY as the grammar has them (RFC 9051 §9), for tests. */
import type { ImapData } from './imap-data.ts';

const isString = (data: ImapData | undefined): boolean => typeof data === 'string';
const isNullable = (data: ImapData | undefined): boolean => data === null || isString(data);
const isNumber = (data: ImapData | undefined): boolean =>
  typeof data === 'string' && /^\d{1,10}$/.test(data);

/** env-date to env-message-id. */
export function isEnvelope(data: ImapData | undefined): boolean {
  if (!Array.isArray(data) || data.length !== 10) return false;
  const items: readonly ImapData[] = data;
  const lists = items.slice(2, 8);
  return [...items.slice(0, 2), ...items.slice(8)].every(isNullable) && lists.every(isAddressList);
}

function isAddressList(data: ImapData): boolean {
  if (data === null) return true;
  if (!Array.isArray(data) || data.length === 0) return false;
  let inGroup = false;
  for (const address of data as readonly ImapData[]) {
    if (!Array.isArray(address) || address.length !== 4 || !address.every(isNullable)) return false;
    const [, , mailbox, host] = address;
    if (host !== null) {
      if (mailbox === null) return false;
      continue;
    }
    // a group begins with its name, and ends without one
    if ((mailbox === null) !== inGroup) return false;
    inGroup = mailbox !== null;
  }
  return !inGroup;
}

/** body, with all of its extension data where it is `extended`. */
export function isBody(data: ImapData | undefined, extended: boolean): boolean {
  if (!Array.isArray(data)) return false;
  const items: readonly ImapData[] = data;
  const parts = items.findIndex((item) => !Array.isArray(item));
  if (parts > 0) {
    const [subtype, parameters, ...extension] = items.slice(parts);
    const rest = items.length - parts;
    if (!items.slice(0, parts).every((part) => isBody(part, extended)) || !isString(subtype))
      return false;
    return extended ? rest === 5 && isParameters(parameters) && isExtension(extension) : rest === 1;
  }
  const [type, subtype, parameters, id, description, encoding, octets, ...rest] = items;
  const basic =
    [type, subtype, encoding].every(isString) &&
    isParameters(parameters) &&
    [id, description].every(isNullable) &&
    isNumber(octets);
  if (!basic) return false;
  const isMessage = type === 'message' && /^(rfc822|global)$/.test(String(subtype));
  if (isMessage && rest.length >= 3 && Array.isArray(rest[0])) {
    const [envelope, body, lines] = rest.splice(0, 3);
    if (!isEnvelope(envelope) || !isBody(body, extended) || !isNumber(lines)) return false;
  } else if (isMessage && subtype === 'rfc822') {
    return false;
  } else if (type === 'text' && !isNumber(rest.shift())) {
    return false;
  }
  const [md5, ...extension] = rest;
  return extended ? isNullable(md5) && isExtension(extension) : rest.length === 0;
}

/** body-fld-dsp, body-fld-lang, body-fld-loc. */
function isExtension([disposition, languages, location, ...more]: readonly ImapData[]): boolean {
  const isDisposition =
    disposition === null ||
    (Array.isArray(disposition) &&
      disposition.length === 2 &&
      isString(disposition[0]) &&
      isParameters(disposition[1]));
  const isLanguages =
    isNullable(languages) ||
    (Array.isArray(languages) && languages.length > 0 && languages.every(isString));
  return isDisposition && isLanguages && isNullable(location) && more.length === 0;
}

function isParameters(data: ImapData | undefined): boolean {
  if (data === null) return true;
  if (!Array.isArray(data) || data.length === 0) return false;
  return data.length % 2 === 0 && data.every(isString);
}
