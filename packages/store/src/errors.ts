/** What the store refuses, as codes that services turn into their protocol's words. */

export type StoreErrorCode =
  | 'no-such-account'
  | 'account-exists'
  | 'bad-address'
  | 'no-such-app-password'
  | 'app-password-exists'
  | 'bad-app-password-name'
  | 'too-many-app-passwords'
  | 'bad-domain'
  | 'no-such-domain'
  | 'domain-exists'
  | 'domain-in-use'
  | 'no-such-alias'
  | 'alias-exists'
  | 'alias-too-large'
  | 'no-such-target'
  | 'target-not-local'
  | 'over-quota'
  | 'no-such-mailbox'
  | 'mailbox-exists'
  | 'mailbox-not-deletable'
  | 'too-many-mailboxes'
  | 'too-many-subscriptions'
  | 'rights-of-owner'
  | 'too-many-rights'
  | 'bad-mailbox-name'
  | 'bad-flag'
  | 'bad-special-use'
  | 'bad-annotation'
  | 'annotation-too-large'
  | 'too-many-annotations'
  | 'no-such-message'
  | 'too-large'
  | 'maildrop-locked'
  | 'database-corrupt'
  | 'database-unavailable'
  | 'schema-too-new'
  | 'closed';

export class StoreError extends Error {
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.code = code;
  }
}
