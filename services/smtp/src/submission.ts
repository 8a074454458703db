/** Mail from our own users (RFC 6409): after a login, under their own address. */
import { randomUUID } from 'node:crypto';
import { isSameMailbox } from './addresses.ts';
import { ReplyError } from './reply-error.ts';
import type { RoleRules } from './role.ts';
import { missingFields } from './trace-fields.ts';

export function createSubmissionRules(hostname: string): RoleRules {
  return {
    login: true,
    checkSender: (reversePath, user) => {
      if (user === undefined) throw new ReplyError(530, '5.7.0', 'Log in first');
      // receipts and the like have the null path (RFC 8098 §2.1), and nobody can be posed as by it
      if (reversePath === '' || isSameMailbox(reversePath, user.address)) return;
      throw new ReplyError(553, '5.7.1', `You may send as ${user.address} only`);
    },
    refuseRecipient: (why) =>
      why === 'not-local'
        ? new ReplyError(550, '5.1.2', 'Sending to other servers (relaying) is not available')
        : new ReplyError(550, '5.1.1', 'No such mailbox here'),
    addedFields: (facts, at) => missingFields(facts, at, randomUUID(), hostname),
  };
}
