/**
 * Whether there is room for messages that a client announces, so that a large one need not be heard before it
 * is refused. The last word is the store's, when it is to be kept.
 */
import { type AccountId, type MailStore, StoreError } from '@mail/store';
import { lookUpMailbox, type User } from './access/mailboxes.ts';
import { has } from './access/rights.ts';
import { ImapSyntaxError, isStoreUnavailable } from './errors.ts';
import { parseVerb } from './parser/command.ts';
import { type CommandText, Lexer } from './parser/lexer.ts';
import { parseOneMailbox } from './parser/mailbox.ts';

export interface Coming {
  readonly octets: number;
  readonly messages: number;
}

/** A session is one. */
export interface Appender extends User {
  readonly store: Pick<MailStore, 'mailboxes' | 'quotas' | 'sharing'>;
  /** How it writes mailbox names. */
  readonly strings: { readonly utf8: boolean };
}

/** `begun` is APPEND up to its first message at least. */
export async function hasRoom(
  appender: Appender,
  begun: CommandText,
  { octets, messages }: Coming,
): Promise<boolean> {
  let taker = appender.account.id;
  try {
    taker = await findTaker(appender, begun);
    const { used, limits } = await appender.store.quotas.read(taker);
    const fits = (held: number, coming: number, limit = Number.POSITIVE_INFINITY) =>
      held + coming <= limit;
    return (
      fits(used.octets, octets, limits.octets) && fits(used.messages, messages, limits.messages)
    );
  } catch (error) {
    // whoever keeps the messages hears it too, and says so
    if (isStoreUnavailable(error)) return true;
    const ownerIsGone = error instanceof StoreError && error.code === 'no-such-account';
    if (ownerIsGone && taker !== appender.account.id) return true;
    throw error;
  }
}

/** Whose mailbox it is that the messages are for; the user's own where there is none to be filled. */
async function findTaker(appender: Appender, begun: CommandText): Promise<AccountId> {
  const name = mailboxOf(appender, begun);
  const mailbox = name === undefined ? undefined : await lookUpMailbox(appender, name);
  const fills = mailbox !== undefined && has('i')(mailbox.rights);
  return fills ? mailbox.accountId : appender.account.id;
}

/** Undefined for what is no command: that is said when it is whole. */
function mailboxOf({ strings }: Appender, begun: CommandText): string | undefined {
  try {
    const lexer = new Lexer(begun, strings);
    lexer.tag();
    parseVerb(lexer);
    return parseOneMailbox(lexer);
  } catch (error) {
    if (error instanceof ImapSyntaxError) return undefined;
    throw error;
  }
}
