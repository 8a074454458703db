/** What a client wants to be told of its mailboxes (RFC 5465 §3.1, §6; RFC 5464 §4.1). Pure. */
import { INBOX, isInferior, parseMailboxName } from '@mail/store';
import { parseSharedName } from '../access/shared-names.ts';
import type { EventGroup, EventName, MailboxFilter, SelectedEvents } from '../parser/notify.ts';

/** Since the client's last NOTIFY. */
export interface Interest {
  /** Of the selected mailbox; undefined for none. */
  readonly selected: SelectedEvents | undefined;
  readonly groups: readonly EventGroup[];
}

export const NO_INTEREST: Interest = { selected: undefined, groups: [] };

/** What ENABLE METADATA asks for. */
export const METADATA_EVENTS: EventGroup = {
  filter: { kind: 'personal' },
  events: ['MailboxMetadataChange', 'ServerMetadataChange'],
};

type Matches = (name: string, subscribed: boolean) => boolean;

function compileFilter(filter: MailboxFilter): Matches {
  switch (filter.kind) {
    case 'personal':
      return (name) => parseSharedName(name) === undefined;
    // where mail is delivered to (§6.3)
    case 'inboxes':
      return (name) => name === INBOX;
    case 'subscribed':
      return (_, subscribed) => subscribed;
    case 'mailboxes': {
      const names = new Set(namesOf(filter));
      return (name) => names.has(name);
    }
    case 'subtree': {
      const roots = namesOf(filter);
      return (name) => roots.some((root) => name === root || isInferior(name, root));
    }
  }
}

/** As the store spells them; what can't be a name is that of no mailbox (§3.1). */
function namesOf({ names }: { readonly names: readonly string[] }): string[] {
  return names.map(parseMailboxName).filter((name) => name !== undefined);
}

/** Groups, ready to be asked about many mailboxes. All that match one count (§6). */
export class EventFilter {
  readonly #groups: readonly { readonly matches: Matches; readonly events: readonly EventName[] }[];

  constructor(groups: readonly EventGroup[]) {
    this.#groups = groups.map(({ filter, events }) => ({ matches: compileFilter(filter), events }));
  }

  /** Whether nothing is asked for at all. */
  get isEmpty(): boolean {
    return this.#groups.every(({ events }) => events.length === 0);
  }

  asks(event: EventName, name: string, subscribed: boolean): boolean {
    return this.#groups.some(
      ({ matches, events }) => events.includes(event) && matches(name, subscribed),
    );
  }

  /** Of the server: whatever mailboxes it is said with. */
  get serverMetadata(): boolean {
    return this.#groups.some(({ events }) => events.includes('ServerMetadataChange'));
  }
}
