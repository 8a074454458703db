/** The states of a session (RFC 1939 §3). UPDATE is no state here: it is what QUIT does. */
import type { Account } from '@mail/store';
import type { Maildrop } from './maildrop.ts';

export type State =
  | {
      readonly name: 'authorization';
      /** What USER said, until PASS. */
      readonly user: string | undefined;
    }
  | { readonly name: 'transaction'; readonly account: Account; readonly maildrop: Maildrop };

export type StateName = State['name'];
