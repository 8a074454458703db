/** A received message into the mailboxes of its recipients, durable before the 250. */
import { type AccountId, type MailStore, StoreError } from '@mail/store';
import { MAX_HEADER_BYTES, MAX_HOPS } from './config.ts';
import { mailboxFull, ReplyError, tooLargeForMailbox } from './reply-error.ts';
import type { RoleRules } from './role.ts';
import {
  examineHeader,
  type Hop,
  receivedField,
  returnPathField,
  withoutReturnPaths,
} from './trace-fields.ts';

export interface ReceivedMessage {
  readonly reversePath: string;
  /** Each once. */
  readonly recipients: readonly AccountId[];
  /** Pieces of the text as it came. */
  readonly text: readonly Buffer[];
  readonly hop: Hop;
}

const CRLF = Buffer.from('\r\n');

/** Resolves once power may fail. Throws ReplyError, and StoreError where the store is not available. */
export async function deliver(
  message: ReceivedMessage,
  rules: RoleRules,
  store: MailStore,
): Promise<void> {
  const { head, rest } = takeHead(message.text);
  const facts = examineHeader(head);
  if (facts.end === head.length && rest.length > 0) {
    throw new ReplyError(552, '5.3.4', `The header is larger than ${MAX_HEADER_BYTES} octets`);
  }
  if (facts.hops > MAX_HOPS) {
    throw new ReplyError(554, '5.4.6', 'The message goes in circles: too many Received fields');
  }
  const added = rules.addedFields(facts, message.hop.at);
  const top = returnPathField(message.reversePath) + receivedField(message.hop) + added;
  // a text that begins without a header would be taken for one
  const separator = facts.end === 0 && !head.subarray(0, 2).equals(CRLF) ? '\r\n' : '';
  const raw = [Buffer.from(top + separator), ...withoutReturnPaths(head, facts), ...rest];
  try {
    await store.messages.deliver(message.recipients, { raw });
  } catch (error) {
    if (error instanceof StoreError && error.code === 'over-quota') {
      throw await whyOverQuota(error, message.recipients, raw, store);
    }
    throw toReplyError(error);
  }
}

/** Nobody has got it. The next try hears at RCPT who has no room; what fits nowhere need not come again. */
async function whyOverQuota(
  cause: StoreError,
  recipients: readonly AccountId[],
  raw: readonly Buffer[],
  { quotas }: MailStore,
): Promise<ReplyError> {
  const octets = raw.reduce((sum, piece) => sum + piece.length, 0);
  for (const id of recipients) {
    const { limits } = await quotas.read(id);
    if (limits.octets !== undefined && octets > limits.octets) return tooLargeForMailbox({ cause });
  }
  return mailboxFull({ cause });
}

/** What the header can reach into as one piece, and the pieces behind that. */
function takeHead(text: readonly Buffer[]): { head: Buffer; rest: readonly Buffer[] } {
  let pieces = 0;
  for (let octets = 0; pieces < text.length && octets <= MAX_HEADER_BYTES; pieces += 1) {
    octets += text[pieces]?.length ?? 0;
  }
  return { head: Buffer.concat(text.slice(0, pieces)), rest: text.slice(pieces) };
}

function toReplyError(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  const cause = { cause: error };
  switch (error.code) {
    case 'too-large':
      return new ReplyError(552, '5.3.4', 'The message is too large to be stored', cause);
    case 'no-such-account':
      // gone since RCPT: the next try hears which one
      return new ReplyError(450, '4.2.1', 'A mailbox has just gone, try again', cause);
    default:
      return error;
  }
}
