/** Which mechanisms there are, which of them a connection offers, and how each begins. */
import { startOAuthBearer, startXOAuth2 } from './bearer.ts';
import { startLogin } from './login.ts';
import { startPlain } from './plain.ts';
import { type ScramOptions, startScram } from './scram.ts';
import type { SaslStep } from './step.ts';

type ScramContext = Omit<ScramOptions, 'plus'>;

/** By their names in IANA's registry, in the order that they are announced in. */
const MECHANISMS = {
  PLAIN: startPlain,
  LOGIN: startLogin,
  'SCRAM-SHA-256': (context: ScramContext) => startScram({ ...context, plus: false }),
  'SCRAM-SHA-256-PLUS': (context: ScramContext) => startScram({ ...context, plus: true }),
  OAUTHBEARER: startOAuthBearer,
  XOAUTH2: startXOAuth2,
} satisfies Record<string, (context: ScramContext) => SaslStep>;

export type SaslMechanism = keyof typeof MECHANISMS;

export interface SaslOffer {
  /** The connection has a channel binding. */
  readonly binding: boolean;
  /** There is somebody who vouches for tokens. */
  readonly tokens: boolean;
}

/** Of a connection that takes credentials at all. */
export function mechanismsFor({ binding, tokens }: SaslOffer): SaslMechanism[] {
  const all = Object.keys(MECHANISMS) as SaslMechanism[];
  return all.filter((name) => {
    if (name === 'SCRAM-SHA-256-PLUS') return binding;
    return tokens || (name !== 'OAUTHBEARER' && name !== 'XOAUTH2');
  });
}

/** The first step; an initial response of the client answers its challenge. */
export function startMechanism(name: SaslMechanism, context: ScramContext): SaslStep {
  return MECHANISMS[name](context);
}
