/** LIST and LSUB (RFC 3501 §6.3.8, §6.3.9), with CHILDREN (RFC 3348) and SPECIAL-USE (RFC 6154). */
import { INBOX, isInferior, type Mailbox, superiorsOf } from '@mail/store';
import { matchesPattern } from '../list-pattern.ts';
import { DELIMITER, type ListArguments } from '../parser/mailbox.ts';
import { encodeAstring, encodeString } from '../response.ts';
import type { Completion, Session } from '../session.ts';
import { encodeMailboxName } from '../utf7.ts';

/** As the store takes names: in Unicode's NFC, and INBOX, the first level, in any case (RFC 3501 §5.1). */
function compilePattern({ reference, pattern }: ListArguments): (name: string) => boolean {
  const whole = (reference + pattern).normalize('NFC');
  return (name) => {
    const inInbox = name === INBOX || isInferior(name, INBOX);
    return matchesPattern(name, whole, inInbox ? INBOX.length : 0);
  };
}

function tell(session: Session, verb: 'LIST' | 'LSUB', attributes: string[], name: string): void {
  const wireName = encodeAstring(encodeMailboxName(name));
  const delimiter = encodeString(DELIMITER);
  session.response.untagged(`${verb} (${attributes.join(' ')}) ${delimiter} ${wireName}`);
}

/** Each name with its attributes; superiors that have no mailbox are there as \Noselect. */
function withAttributes(mailboxes: readonly Mailbox[]): Map<string, string[]> {
  const superiors = new Set(mailboxes.flatMap(({ name }) => superiorsOf(name)));
  const named = new Map(mailboxes.map((mailbox) => [mailbox.name, mailbox]));
  // mailboxes come in their order; what is only a superior goes where its first inferior is
  const names = new Set(mailboxes.flatMap(({ name }) => [...superiorsOf(name), name]));
  return new Map(
    [...names].map((name) => {
      const mailbox = named.get(name);
      const attributes = [superiors.has(name) ? '\\HasChildren' : '\\HasNoChildren'];
      if (mailbox === undefined) attributes.push('\\Noselect');
      if (mailbox?.specialUse !== undefined) attributes.push(mailbox.specialUse);
      return [name, attributes];
    }),
  );
}

export async function list(session: Session, parsed: ListArguments): Promise<Completion> {
  // an empty pattern asks for the delimiter (RFC 3501 §6.3.8)
  if (parsed.pattern === '') tell(session, 'LIST', ['\\Noselect'], '');
  else {
    const matches = compilePattern(parsed);
    const mailboxes = await session.store.mailboxes.list(session.account.id);
    for (const [name, attributes] of withAttributes(mailboxes)) {
      if (matches(name)) tell(session, 'LIST', attributes, name);
    }
  }
  return { text: 'LIST completed' };
}

/**
 * Subscribed names, whether or not there is a mailbox. A pattern with "%" that matches a name only as
 * the superior of a subscribed one gets it as \Noselect (RFC 3501 §6.3.9).
 */
export async function lsub(session: Session, parsed: ListArguments): Promise<Completion> {
  const subscribed = await session.store.mailboxes.subscriptions(session.account.id);
  const matches = compilePattern(parsed);
  const told = new Set<string>();
  for (const name of subscribed) {
    if (matches(name)) {
      told.add(name);
      tell(session, 'LSUB', [], name);
    }
  }
  if (parsed.pattern.includes('%')) {
    const hidden = subscribed.filter((name) => !told.has(name));
    const superiors = new Set(hidden.flatMap((name) => superiorsOf(name)));
    for (const name of superiors) {
      if (!told.has(name) && matches(name)) tell(session, 'LSUB', ['\\Noselect'], name);
    }
  }
  return { text: 'LSUB completed' };
}
