/**
 * LIST and LSUB (RFC 3501 §6.3.8, §6.3.9), with CHILDREN (RFC 3348), SPECIAL-USE (RFC 6154), LIST-EXTENDED
 * (RFC 5258), LIST-STATUS (RFC 5819), LIST-METADATA (RFC 9590) and LIST-MYRIGHTS (RFC 8440), of mailboxes of
 * others too (RFC 4314 §4); and the LIST that others tell: commands of IMAP4rev2, and NOTIFY.
 */
import {
  type AccountOverview,
  compareNames,
  INBOX,
  isInferior,
  type Mailbox,
  StoreError,
  superiorsOf,
} from '@mail/store';
import { type AccessibleMailbox, listMailboxes } from '../access/mailboxes.ts';
import { canAnnotate, has } from '../access/rights.ts';
import { ListPattern } from '../list-pattern.ts';
import {
  DELIMITER,
  type ListArguments,
  type LsubArguments,
  type StatusItem,
} from '../parser/mailbox.ts';
import type { Completion, Session } from '../session.ts';
import { encodeString } from '../strings.ts';
import { Turns } from '../turns.ts';
import { tellMyRights } from './acl.ts';
import { tellListedMetadata } from './metadata.ts';
import { tellStatus } from './status.ts';

/** Steps of holding a name against a pattern, before others have their turn. */
const TURN_STEPS = 1024 * 1024;
/** What else is done for a name, in such steps. */
const NAME_STEPS = 1024;
const STATUS_STEPS = 32 * 1024;
const METADATA_STEPS = 64 * 1024;

/** The patterns of one command, each behind its reference. */
class Patterns {
  readonly #patterns: readonly ListPattern[];
  readonly #turns = new Turns(TURN_STEPS);

  /** As the store takes names: in Unicode's NFC. */
  constructor(reference: string, patterns: readonly string[]) {
    this.#patterns = patterns.map((one) => new ListPattern((reference + one).normalize('NFC')));
  }

  /** INBOX, the first level, is in any case (RFC 3501 §5.1). */
  match(name: string): boolean {
    const inInbox = name === INBOX || isInferior(name, INBOX);
    return this.#patterns.some((pattern) => pattern.matches(name, inInbox ? INBOX.length : 0));
  }

  /**
   * Counts what holding a name against them costs, and telling of it, `steps`: others have their turn, if it is
   * time. To be awaited; undefined while the turn goes on.
   */
  spend(name: string, steps: number): Promise<void> | undefined {
    const matching = this.#patterns.reduce((sum, { length }) => sum + length * name.length, 0);
    return this.#turns.spend(matching + steps);
  }
}

interface Told {
  readonly name: string;
  readonly attributes: readonly string[];
  /** Selection options that hold for names below this one (RFC 5258 §3.5). */
  readonly childInfo?: readonly string[];
  /** What the client knows it by (RFC 9051 §6.3.9.7). */
  readonly oldName?: string;
}

function tell(
  session: Session,
  verb: 'LIST' | 'LSUB',
  { name, attributes, childInfo, oldName }: Told,
): void {
  const { response, strings } = session;
  const delimiter = encodeString(DELIMITER);
  const below = childInfo?.map(encodeString).join(' ');
  const extra =
    (below === undefined ? '' : ` ("CHILDINFO" (${below}))`) +
    (oldName === undefined ? '' : ` ("OLDNAME" (${strings.mailbox(oldName)}))`);
  response.untagged(
    `${verb} (${attributes.join(' ')}) ${delimiter} ${strings.mailbox(name)}${extra}`,
  );
}

type Listed = Pick<Mailbox, 'name' | 'specialUse'>;

/** A name with what is there: a mailbox, or only inferiors or a subscription. */
interface Entry<Kind extends Listed = Listed> {
  readonly name: string;
  readonly mailbox: Kind | undefined;
  readonly hasChildren: boolean;
  readonly subscribed: boolean;
}

/** All names that there are, `subscribed` ones without a mailbox among them, in order. */
function entriesOf<Kind extends Listed>(
  mailboxes: readonly Kind[],
  subscribed: ReadonlySet<string>,
): Entry<Kind>[] {
  const named = new Map(mailboxes.map((mailbox) => [mailbox.name, mailbox]));
  const superiors = new Set(mailboxes.flatMap(({ name }) => superiorsOf(name)));
  const subscribedSuperiors = [...subscribed].flatMap((name) => superiorsOf(name));
  const names = new Set([...superiors, ...named.keys(), ...subscribedSuperiors, ...subscribed]);
  return [...names].sort(compareNames).map((name) => ({
    name,
    mailbox: named.get(name),
    hasChildren: superiors.has(name),
    subscribed: subscribed.has(name),
  }));
}

/** `extended` where the client is one that knows \NonExistent, which says more than \Noselect (RFC 5258 §3). */
function attributesOf({ mailbox, hasChildren }: Entry, extended: boolean): string[] {
  return [
    hasChildren ? '\\HasChildren' : '\\HasNoChildren',
    ...(mailbox === undefined ? [extended ? '\\NonExistent' : '\\Noselect'] : []),
    ...(mailbox?.specialUse === undefined ? [] : [mailbox.specialUse]),
  ];
}

/**
 * To clients of IMAP4rev2, LIST of one name, as other commands tell it besides (RFC 9051 §6.3.2); with what
 * they call it, where that is another (§6.3.9.7).
 */
export async function tellName(session: Session, name: string, called: string): Promise<void> {
  if (!session.enabled.has('IMAP4rev2')) return;
  const mailboxes = await listMailboxes(session);
  const entry = entriesOf(mailboxes, new Set()).find((one) => one.name === name) ?? {
    name,
    mailbox: undefined,
    hasChildren: false,
    subscribed: false,
  };
  const attributes = attributesOf(entry, true);
  tell(session, 'LIST', { name, attributes, ...(called !== name && { oldName: called }) });
}

/** LIST of names of which something has changed, each as it is now (RFC 5465 §5.4, §5.5). */
export function tellNames(
  session: Session,
  { mailboxes, subscriptions }: Pick<AccountOverview, 'mailboxes' | 'subscriptions'>,
  names: readonly { readonly name: string; readonly oldName: string | undefined }[],
): void {
  const entries = new Map(
    entriesOf(mailboxes, new Set(subscriptions)).map((entry) => [entry.name, entry]),
  );
  for (const { name, oldName } of names) {
    const nobody = { name, mailbox: undefined, hasChildren: false, subscribed: false };
    const entry = entries.get(name) ?? nobody;
    const attributes = attributesOf(entry, true);
    if (entry.subscribed) attributes.push('\\Subscribed');
    tell(session, 'LIST', { name, attributes, ...(oldName !== undefined && { oldName }) });
  }
}

/** Which names are asked for, patterns aside. */
function isSelected(
  { mailbox, hasChildren, subscribed }: Entry,
  { select }: ListArguments,
): boolean {
  if (select.includes('SUBSCRIBED')) {
    if (!subscribed) return false;
  } else if (mailbox === undefined && !hasChildren) return false;
  return !select.includes('SPECIAL-USE') || mailbox?.specialUse !== undefined;
}

export async function list(session: Session, parsed: ListArguments): Promise<Completion> {
  const { reference, patterns, select, returns, status, metadata, extended } = parsed;
  const text = 'LIST completed';
  // an empty pattern asks for the delimiter (RFC 3501 §6.3.8)
  if (!extended && patterns[0] === '') {
    tell(session, 'LIST', { name: '', attributes: ['\\Noselect'] });
    return { text };
  }
  const { mailboxes } = session.store;
  const existing = await listMailboxes(session);
  const tellsSubscribed = select.includes('SUBSCRIBED') || returns.includes('SUBSCRIBED');
  const subscriptions = tellsSubscribed ? await mailboxes.subscriptions(session.account.id) : [];
  const entries = entriesOf(existing, new Set(subscriptions));
  const sought = new Patterns(reference, patterns);
  const selected = new Set(entries.filter((entry) => isSelected(entry, parsed)));
  const aboveSelected = new Set(
    select.includes('RECURSIVEMATCH') ? [...selected].flatMap(({ name }) => superiorsOf(name)) : [],
  );
  const criteria = select.filter((option) => option === 'SUBSCRIBED' || option === 'SPECIAL-USE');
  const steps =
    NAME_STEPS +
    (status.length > 0 ? STATUS_STEPS : 0) +
    (metadata.length > 0 ? METADATA_STEPS : 0);
  for (const entry of entries) {
    const { name } = entry;
    const above = aboveSelected.has(name);
    if (!(selected.has(entry) || above)) continue;
    const turn = sought.spend(name, steps);
    if (turn !== undefined) await turn;
    if (!sought.match(name)) continue;
    const attributes = attributesOf(entry, extended || session.enabled.has('IMAP4rev2'));
    if (tellsSubscribed && entry.subscribed) attributes.push('\\Subscribed');
    tell(session, 'LIST', { name, attributes, ...(above && { childInfo: criteria }) });
    if (entry.mailbox !== undefined) await tellMore(session, entry.mailbox, parsed);
    await session.response.room;
  }
  return { text };
}

/** What is asked of a mailbox besides, as far as its user may know it (RFC 8440, RFC 5819, RFC 9590). */
async function tellMore(
  session: Session,
  mailbox: AccessibleMailbox,
  { returns, status, metadata }: ListArguments,
): Promise<void> {
  if (returns.includes('MYRIGHTS')) tellMyRights(session, mailbox);
  if (status.length > 0 && has('r')(mailbox.rights)) await tellStatusOf(session, mailbox, status);
  if (metadata.length > 0 && canAnnotate(mailbox.rights)) {
    await tellListedMetadata(session, mailbox, metadata);
  }
}

async function tellStatusOf(
  session: Session,
  mailbox: Mailbox,
  items: readonly StatusItem[],
): Promise<void> {
  try {
    await tellStatus(session, mailbox, items);
  } catch (error) {
    // deleted since it was listed
    if (!(error instanceof StoreError && error.code === 'no-such-mailbox')) throw error;
  }
}

/**
 * Subscribed names, whether or not there is a mailbox. A pattern with "%" that matches a name only as
 * the superior of a subscribed one gets it as \Noselect (RFC 3501 §6.3.9).
 */
export async function lsub(
  session: Session,
  { reference, pattern }: LsubArguments,
): Promise<Completion> {
  const subscribed = await session.store.mailboxes.subscriptions(session.account.id);
  const sought = new Patterns(reference, [pattern]);
  const told = new Set<string>();
  const tellMatching = async (names: Iterable<string>, attributes: readonly string[]) => {
    for (const name of names) {
      const turn = sought.spend(name, NAME_STEPS);
      if (turn !== undefined) await turn;
      if (told.has(name) || !sought.match(name)) continue;
      told.add(name);
      tell(session, 'LSUB', { name, attributes });
      await session.response.room;
    }
  };
  await tellMatching(subscribed, []);
  if (pattern.includes('%')) {
    const hidden = subscribed.filter((name) => !told.has(name));
    await tellMatching(new Set(hidden.flatMap((name) => superiorsOf(name))), ['\\Noselect']);
  }
  return { text: 'LSUB completed' };
}
