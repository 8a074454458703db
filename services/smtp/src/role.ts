/** What the two kinds of listeners do differently; everything else is one. */
import type { Account } from '@mail/store';
import type { HeaderFacts } from './trace-fields.ts';

export interface RoleRules {
  /** Whether the role lets users log in, and wants them to. */
  readonly login: boolean;
  /** MAIL: throws ReplyError where `user` may not send as `reversePath` ("" for the null path). */
  checkSender(reversePath: string, user: Account | undefined): void;
  /** RCPT for somebody who has no mailbox here, the domain being ours or not: what to say. */
  refuseRecipient(why: 'no-such-address' | 'not-local'): Error;
  /** Header fields that the role adds to a message. */
  addedFields(facts: HeaderFacts, at: Date): string;
}
