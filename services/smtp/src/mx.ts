/** Mail from other servers: for local mailboxes only, from anybody, without a login. Never a relay. */
import { ReplyError } from './reply-error.ts';
import type { RoleRules } from './role.ts';

export function createMxRules(): RoleRules {
  return {
    login: false,
    checkSender: () => {},
    refuseRecipient: () => new ReplyError(550, '5.1.1', 'No such mailbox here'),
    addedFields: () => '',
  };
}
