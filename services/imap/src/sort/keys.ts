/** What messages are sorted by (RFC 5256 §3, RFC 5957 §3), and their order. Pure. */
import {
  baseSubject,
  decodeWords,
  type Envelope,
  type EnvelopeAddress,
  sentDate,
} from '@mail/message';
import type { MessageSummary } from '@mail/store';
import { collationKey, compareKeys } from '../casemap.ts';
import type { SortCriterion, SortKey } from '../parser/sort.ts';

/** A number, or a text as collationKey makes it. */
type SortValue = number | string;

/** What is kept of a message while others are read. */
export interface Sortable {
  readonly sequence: number;
  /** One for each criterion. */
  readonly values: readonly SortValue[];
}

type Addresses = readonly EnvelopeAddress[] | undefined;

/** addr-mailbox of the first; a group has its name there (RFC 3501 §7.4.2). */
function firstMailbox(addresses: Addresses): string {
  const first = addresses?.[0];
  if (first === undefined || first.kind === 'group-end') return '';
  return collationKey(first.kind === 'mailbox' ? first.mailbox : first.name);
}

/** The name of the first; its address where it has none. */
function firstDisplayed(addresses: Addresses): string {
  const first = addresses?.[0];
  if (first?.kind !== 'mailbox') return firstMailbox(addresses);
  if (first.name) return collationKey(decodeWords(first.name));
  return collationKey(first.host === '' ? first.mailbox : `${first.mailbox}@${first.host}`);
}

/** Milliseconds since the epoch; of a message that does not say, when it arrived (RFC 5256 §2.2). */
export function sentAt({ internalDate }: MessageSummary, envelope: Envelope | undefined): number {
  return sentDate(envelope?.date ?? null)?.instant ?? internalDate.getTime();
}

type Value = (message: MessageSummary, envelope: Envelope | undefined) => SortValue;

const VALUES: Record<SortKey, Value> = {
  ARRIVAL: ({ internalDate }) => internalDate.getTime(),
  CC: (_, envelope) => firstMailbox(envelope?.cc),
  DATE: sentAt,
  DISPLAYFROM: (_, envelope) => firstDisplayed(envelope?.from),
  DISPLAYTO: (_, envelope) => firstDisplayed(envelope?.to),
  FROM: (_, envelope) => firstMailbox(envelope?.from),
  SIZE: ({ size }) => size,
  SUBJECT: (_, envelope) => collationKey(baseSubject(envelope?.subject ?? null).text),
  TO: (_, envelope) => firstMailbox(envelope?.to),
};

/** Whether more than a summary has to be read. */
export function needsEnvelope(criteria: readonly SortCriterion[]): boolean {
  return criteria.some(({ key }) => key !== 'ARRIVAL' && key !== 'SIZE');
}

/** `envelope` may be missing where no criterion needs it. */
export function sortValues(
  criteria: readonly SortCriterion[],
  message: MessageSummary,
  envelope: Envelope | undefined,
): SortValue[] {
  return criteria.map(({ key }) => VALUES[key](message, envelope));
}

function compareValues(one: SortValue, other: SortValue): number {
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  return compareKeys(String(one), String(other));
}

/** By each criterion in turn, at last by sequence number, which REVERSE leaves as it is (RFC 5256 §3). */
export function comparison(
  criteria: readonly SortCriterion[],
): (one: Sortable, other: Sortable) => number {
  const signs = criteria.map(({ reverse }) => (reverse ? -1 : 1));
  return (one, other) => {
    for (const [index, sign] of signs.entries()) {
      const order = compareValues(one.values[index] ?? 0, other.values[index] ?? 0);
      if (order !== 0) return sign * order;
    }
    return one.sequence - other.sequence;
  };
}
