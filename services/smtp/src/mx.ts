/** Mail from other servers: for local mailboxes only, from anybody, without a login. Never a relay. */
import { ReplyError } from './reply-error.ts';
import type { RoleRules } from './role.ts';

export function createMxRules(): RoleRules {
  return {
    login: false,
    checkSender: () => {},
    refuseRecipient: (why) =>
      why === 'not-local'
        ? new ReplyError(550, '5.7.1', 'Mail for that domain is not taken here')
        : new ReplyError(550, '5.1.1', 'No such mailbox here'),
    addedFields: () => '',
  };
}
