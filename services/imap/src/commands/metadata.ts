/**
 * GETMETADATA and SETMETADATA (RFC 5464), and the annotations that LIST tells (RFC 9590). A mailbox's use is
 * one of them (RFC 6154 §4), which the store keeps; so it does tell whose are those of a mailbox that several
 * have. The server's annotations are the account's own.
 */
import { type AnnotationSummary, type MailboxId, StoreError } from '@mail/store';
import { canAnnotate } from '../access/rights.ts';
import { refuse } from '../errors.ts';
import type { Depth, GetMetadataArguments, SetMetadataArguments } from '../parser/metadata.ts';
import type { Completion, Session } from '../session.ts';

/** How to reach whoever runs the server; always theirs to set (RFC 5464 §3.2.1.1). */
const ADMIN = '/shared/admin';
/** Octets of values that are read at once. */
const OCTETS_AT_ONCE = 256 * 1024;

const isText = (octets: Buffer): boolean => octets.every((octet) => octet >= 0x20 && octet < 0x7f);

function tellValue({ response, strings }: Session, value: Uint8Array | undefined): void {
  const octets = value && Buffer.from(value.buffer, value.byteOffset, value.length);
  if (octets === undefined || isText(octets)) {
    response.raw(strings.nullable(octets?.toString('latin1')));
    return;
  }
  // only literal8 can carry NUL (RFC 5464 §5: value)
  response.raw(`${octets.includes(0) ? '~' : ''}{${octets.length}}\r\n`);
  response.octets(octets);
}

/** Whether `name` is `entry`, or as far below it as `depth` says (§4.2.2). */
function isWithin(name: string, entry: string, depth: Depth): boolean {
  if (name === entry) return true;
  if (depth === 0 || !name.startsWith(`${entry}/`)) return false;
  return depth === 'infinity' || !name.slice(entry.length + 1).includes('/');
}

/** What is told, in the order of `entries`; one that has nothing, and nothing below it, is told as NIL. */
function choose(
  summaries: readonly AnnotationSummary[],
  entries: readonly string[],
  depth: Depth,
): Map<string, number | undefined> {
  const chosen = new Map<string, number | undefined>();
  for (const entry of entries) {
    const found = summaries.filter(({ name }) => isWithin(name, entry, depth));
    for (const { name, size } of found) chosen.set(name, size);
    if (found.length === 0) chosen.set(entry, undefined);
  }
  return chosen;
}

/** Names together, as long as their values are small. */
function* inGroups(chosen: ReadonlyMap<string, number | undefined>): Generator<string[]> {
  let group: string[] = [];
  let octets = 0;
  for (const [name, size = 0] of chosen) {
    if (group.length > 0 && octets + size > OCTETS_AT_ONCE) {
      yield group;
      group = [];
      octets = 0;
    }
    group.push(name);
    octets += size;
  }
  if (group.length > 0) yield group;
}

/**
 * Writes METADATA (§4.4.1) of a mailbox, or of the account where its name is empty. Returns the size of the
 * largest value that is left out for it, if there is one.
 */
export async function tellMetadata(
  session: Session,
  { name, id }: { readonly name: string; readonly id: MailboxId | undefined },
  { entries, depth, maxSize = Number.POSITIVE_INFINITY }: Omit<GetMetadataArguments, 'mailbox'>,
): Promise<number | undefined> {
  const { response, strings } = session;
  const { annotations } = session.store;
  const chosen = choose(await annotations.list(session.account.id, id), entries, depth);
  let longest: number | undefined;
  for (const [entry, size = 0] of chosen) {
    if (size <= maxSize) continue;
    longest = Math.max(size, longest ?? 0);
    chosen.delete(entry);
  }
  for (const group of inGroups(chosen)) {
    const values = await annotations.read(session.account.id, id, group);
    response.raw(`* METADATA ${strings.mailbox(name)} (`);
    for (const [index, entry] of group.entries()) {
      response.raw(`${index === 0 ? '' : ' '}${strings.astring(entry)} `);
      tellValue(session, values.get(entry));
    }
    response.raw(')\r\n');
    await response.room;
  }
  return longest;
}

/** The mailbox of that name, or the account for an empty one. Throws ReplyError. */
async function findOwner(
  session: Session,
  mailbox: string,
): Promise<{ name: string; id: MailboxId | undefined }> {
  return mailbox === '' ? { name: '', id: undefined } : session.findMailbox(mailbox, canAnnotate);
}

export async function getMetadata(
  session: Session,
  { mailbox, ...asked }: GetMetadataArguments,
): Promise<Completion> {
  const longest = await tellMetadata(session, await findOwner(session, mailbox), asked);
  const text = 'GETMETADATA completed';
  return longest === undefined ? { text } : { code: `METADATA LONGENTRIES ${longest}`, text };
}

export async function setMetadata(
  session: Session,
  { mailbox, values }: SetMetadataArguments,
): Promise<Completion> {
  const { id } = await findOwner(session, mailbox);
  if (id === undefined && values.some(([entry]) => entry === ADMIN)) {
    throw refuse('NOPERM', 'The administrator alone sets that');
  }
  const modSeq = await session.store.annotations.set(session.account.id, id, values);
  session.notifications.watch?.view.expectAnnotations(modSeq);
  return { text: 'SETMETADATA completed' };
}

/** Of a mailbox that LIST tells; NIL where it has none (RFC 9590 §3). */
export async function tellListedMetadata(
  session: Session,
  mailbox: { readonly name: string; readonly id: MailboxId },
  entries: readonly string[],
): Promise<void> {
  try {
    await tellMetadata(session, mailbox, { entries, depth: 0, maxSize: undefined });
  } catch (error) {
    // deleted since it was listed
    if (!(error instanceof StoreError && error.code === 'no-such-mailbox')) throw error;
  }
}
