/**
 * Messages that come from elsewhere and may be brought again, by somebody who died in the middle, say. What
 * a message is known by becomes its content's identity (EMAILID), of which there is only one: so it is told
 * in the same transaction, and with nothing beside, whether it is there.
 */
import { createHash } from 'node:crypto';
import { requireMailbox } from './existence.ts';
import { lockMailbox } from './locks.ts';
import type { MailboxId } from './mail-store.ts';
import { insertMessage, type Placement, placeMessages, type ReadyMessage } from './messages.ts';
import { growthOf, lockRoom, requireRoom } from './quotas.ts';
import type { WriteContext } from './write-context.ts';

export interface ReadyKeyedMessage extends ReadyMessage {
  readonly key: string;
}

/** Keys looked up in one statement. */
const KEYS_PER_LOOK = 256;

/** 132 bits; the mailbox's id keeps apart what several users bring, who must not learn of each other. */
function emailIdOf(mailboxId: MailboxId, key: string): string {
  const hash = createHash('sha256').update(`${mailboxId} ${key}`).digest('base64url');
  return `M${hash.slice(0, 22)}`;
}

export async function appendOnce(
  context: WriteContext,
  { mailboxId, messages }: { mailboxId: MailboxId; messages: readonly ReadyKeyedMessage[] },
): Promise<number> {
  const { account_id: accountId } = await requireMailbox(context.db, mailboxId);
  const room = await lockRoom(context, [accountId]);
  // keeps out who brings the same at the same time
  await lockMailbox(context, mailboxId);
  const byEmailId = new Map(
    messages.map((message) => [emailIdOf(mailboxId, message.key), message]),
  );
  for (const emailId of await findKnown(context, [...byEmailId.keys()])) byEmailId.delete(emailId);
  const placements: Placement[] = [];
  for (const [emailId, message] of byEmailId) {
    placements.push(await insertMessage(context, message, 1, emailId));
  }
  requireRoom(room, accountId, growthOf(placements));
  if (placements.length > 0) await placeMessages(context, mailboxId, placements);
  return placements.length;
}

async function findKnown({ db }: WriteContext, emailIds: readonly string[]): Promise<string[]> {
  const known: string[] = [];
  for (let start = 0; start < emailIds.length; start += KEYS_PER_LOOK) {
    const rows = await db
      .selectFrom('contents')
      .select('email_id')
      .where('email_id', 'in', emailIds.slice(start, start + KEYS_PER_LOOK))
      .execute();
    known.push(...rows.map(({ email_id }) => email_id));
  }
  return known;
}
