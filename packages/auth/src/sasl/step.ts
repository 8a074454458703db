/**
 * What a mechanism wants next. A mechanism is pure: each step says how the exchange goes on, and whoever
 * runs it (login-desk.ts) moves challenges, looks things up and judges.
 */
import type { ScramKeys } from '../scram-keys.ts';

/** To be sent; the client's response leads on. */
export interface ChallengeStep<Next> {
  readonly kind: 'challenge';
  readonly challenge: Buffer;
  /** Throws AuthError (malformed-response, channel-binding). */
  readonly next: (response: Buffer) => Next;
}

/** The last step: whether the password is right is the answer. */
export interface PasswordStep {
  readonly kind: 'password';
  readonly address: string;
  readonly password: string;
  readonly authorizationId: string | undefined;
}

/** Wants what the account's passwords are checked against; the first gives salt and iterations. */
export interface ScramStep {
  readonly kind: 'scram';
  readonly address: string;
  readonly authorizationId: string | undefined;
  readonly next: (keys: readonly [ScramKeys, ...ScramKeys[]]) => ChallengeStep<ScramProof>;
}

/** The end of SCRAM: the answer is yes where a key fits, and then the client is sent our own proof. */
export interface ScramProof {
  /** Place in the keys that were handed in. */
  readonly fits: number | undefined;
  readonly serverFinal: Buffer;
}

/** The last step: where the token is no good the client is sent a challenge that says why. */
export interface TokenStep {
  readonly kind: 'token';
  readonly token: string;
  readonly authorizationId: string | undefined;
}

export type SaslStep = ChallengeStep<SaslStep> | PasswordStep | ScramStep | TokenStep;

export function challenge<Next>(
  text: string,
  next: (response: Buffer) => Next,
): ChallengeStep<Next> {
  return { kind: 'challenge', challenge: Buffer.from(text, 'utf8'), next };
}
