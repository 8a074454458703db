/** The states of a session (RFC 3501 §3) and what each holds. */
import type { Account } from '@mail/store';
import type { AccessibleMailbox } from './access/mailboxes.ts';
import type { MailboxView } from './mailbox-view.ts';

/** A mailbox while it is selected. */
export interface Selected {
  /** With what its user may do with it, as far as that is known. */
  mailbox: AccessibleMailbox;
  readonly view: MailboxView;
  /** By EXAMINE. */
  readonly readOnly: boolean;
  /** Whether the store may hold changes that the view has not taken in. */
  stale: boolean;
  /** Called when `stale` turns true; IDLE listens here. */
  onStale: (() => void) | undefined;
  /** Ends the watch on the store. */
  readonly unwatch: () => void;
}

export type SessionState =
  | { readonly name: 'not-authenticated' }
  | { readonly name: 'authenticated'; readonly account: Account }
  | { readonly name: 'selected'; readonly account: Account; readonly selected: Selected };

export type StateName = SessionState['name'];
