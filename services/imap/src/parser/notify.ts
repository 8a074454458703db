/** NOTIFY (RFC 5465 §8): which events of which mailboxes; and the rules on which events come together. */
import { ImapSyntaxError } from '../errors.ts';
import { type FetchItem, parseFetchItem, withoutRepeated } from './fetch.ts';
import type { Lexer } from './lexer.ts';
import { MAX_EVENT_GROUPS, MAX_LIST_ITEMS, MAX_NOTIFIED_NAMES } from './limits.ts';
import { parseMailbox } from './mailbox.ts';

/** All that there are but AnnotationChange: messages have no annotations here. */
export const EVENTS = [
  'MessageNew',
  'MessageExpunge',
  'FlagChange',
  'MailboxName',
  'SubscriptionChange',
  'MailboxMetadataChange',
  'ServerMetadataChange',
] as const;
export type EventName = (typeof EVENTS)[number];
const MESSAGE_EVENTS: readonly EventName[] = ['MessageNew', 'MessageExpunge', 'FlagChange'];

export type MailboxFilter =
  | { readonly kind: 'inboxes' | 'personal' | 'subscribed' }
  /** As they were said. */
  | { readonly kind: 'subtree' | 'mailboxes'; readonly names: readonly string[] };

/** Events of mailboxes that are not selected, and of the server. */
export interface EventGroup {
  readonly filter: MailboxFilter;
  readonly events: readonly EventName[];
}

/** Events of the selected mailbox; MessageNew and MessageExpunge at least. */
export interface SelectedEvents {
  /** SELECTED-DELAYED: EXPUNGE waits for a command. */
  readonly delayed: boolean;
  /** What is told of new messages; none of it sets \Seen. */
  readonly newItems: readonly FetchItem[];
  readonly flagChange: boolean;
}

export interface NotifySet {
  /** Whether the STATUS of each mailbox is told at once. */
  readonly status: boolean;
  /** Undefined for none. */
  readonly selected: SelectedEvents | undefined;
  readonly groups: readonly EventGroup[];
  /** Whether there are events that nobody can be told of here. */
  readonly unsupported: boolean;
}

export type NotifyArguments = 'none' | NotifySet;

interface ParsedEvents {
  readonly events: readonly EventName[];
  readonly newItems: readonly FetchItem[];
  readonly unsupported: boolean;
}

/** §5.2: a client should not ask for what sets \Seen; one that does has its mail unread all the same. */
function withoutSeen(item: FetchItem): FetchItem {
  return item.kind === 'section' || item.kind === 'binary' ? { ...item, peek: true } : item;
}

/** The list behind MessageNew, its "(" read. */
function parseNewItems(lexer: Lexer): FetchItem[] {
  const items: FetchItem[] = [];
  do {
    if (items.length === MAX_LIST_ITEMS) throw new ImapSyntaxError('too-many', 'List too long');
    items.push(withoutSeen(parseFetchItem(lexer)));
  } while (lexer.accept(' '));
  lexer.expect(')');
  return withoutRepeated(items);
}

function parseEvents(lexer: Lexer): ParsedEvents {
  const events: EventName[] = [];
  const newItems: FetchItem[] = [];
  let unsupported = false;
  if (lexer.accept('NONE')) return { events, newItems, unsupported };
  lexer.filledList(() => {
    const word = lexer.word();
    const event = EVENTS.find((known) => known.toUpperCase() === word);
    if (event === undefined) unsupported = true;
    else events.push(event);
    if (event === 'MessageNew' && lexer.accept(' (')) newItems.push(...parseNewItems(lexer));
  });
  return { events, newItems, unsupported };
}

/** §5: the message events that need others. */
function requireTogether(lexer: Lexer, events: readonly EventName[]): void {
  const asks = (event: EventName): boolean => events.includes(event);
  if (asks('MessageNew') !== asks('MessageExpunge')) {
    lexer.fail('MessageNew and MessageExpunge come together');
  }
  if (asks('FlagChange') && !asks('MessageNew')) {
    lexer.fail('FlagChange comes with MessageNew and MessageExpunge');
  }
}

function parseNames(lexer: Lexer): string[] {
  lexer.space();
  return lexer.peek() === '(' ? lexer.filledList(() => parseMailbox(lexer)) : [parseMailbox(lexer)];
}

function parseFilter(lexer: Lexer): MailboxFilter | 'selected' | 'selected-delayed' {
  const kind = lexer.word().toLowerCase();
  switch (kind) {
    case 'selected':
    case 'selected-delayed':
      return kind;
    case 'inboxes':
    case 'personal':
    case 'subscribed':
      return { kind };
    case 'subtree':
    case 'mailboxes':
      return { kind, names: parseNames(lexer) };
    default:
      return lexer.fail('Unknown mailboxes');
  }
}

export function parseNotify(lexer: Lexer): NotifyArguments {
  lexer.space();
  if (lexer.accept('NONE')) return 'none';
  lexer.expect('SET');
  const status = lexer.accept(' STATUS');
  let selected: SelectedEvents | undefined;
  let selectedSaid = false;
  let unsupported = false;
  const groups: EventGroup[] = [];
  let names = 0;

  const parseGroup = (): void => {
    lexer.expect('(');
    const filter = parseFilter(lexer);
    lexer.space();
    const parsed = parseEvents(lexer);
    const { events, newItems } = parsed;
    unsupported ||= parsed.unsupported;
    requireTogether(lexer, events);
    if (typeof filter === 'string') {
      if (selectedSaid) lexer.fail('The selected mailbox twice');
      selectedSaid = true;
      if (events.some((event) => !MESSAGE_EVENTS.includes(event))) {
        lexer.fail('Only message events of the selected mailbox');
      }
      if (events.length > 0) {
        const delayed = filter === 'selected-delayed';
        selected = { delayed, newItems, flagChange: events.includes('FlagChange') };
      }
    } else {
      if (newItems.length > 0) lexer.fail('Only new messages of the selected mailbox are fetched');
      if ('names' in filter) names += filter.names.length;
      groups.push({ filter, events });
    }
    lexer.expect(')');
  };

  let count = 0;
  do {
    lexer.space();
    parseGroup();
    count += 1;
    if (count > MAX_EVENT_GROUPS || names > MAX_NOTIFIED_NAMES) {
      throw new ImapSyntaxError('too-many', 'Too many mailboxes');
    }
  } while (lexer.peek() === ' ');
  return { status, selected, groups, unsupported };
}
