/** The CA's suggestion of when to renew (RFC 9773 §4): asked for, and kept. */
import type { Logger } from '@mail/service';
import type { Certificates } from '../../certificates.ts';
import { AcmeError } from './errors.ts';
import type { AcmeIssuer } from './issuer.ts';
import { pollDelay, type RenewalInfo } from './renewal-info.ts';
import { suggestedRenewalTime } from './renewal-time.ts';
import type { AcmeState, KeptState } from './state.ts';

export interface SuggestionParts {
  readonly state: KeptState;
  readonly certificates: Certificates;
  readonly logger: Logger;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** What the CA cannot tell now is asked for later, and what it said before stands. */
export async function askWhenToRenew(
  issuer: Pick<AcmeIssuer, 'suggestion'>,
  parts: SuggestionParts,
): Promise<void> {
  const { state, certificates, logger, now } = parts;
  const { certificate } = state.value;
  if (certificate === undefined) return;
  const chainPem = certificates.whole(certificate.id)?.chainPem;
  // as with orders: kept before the CA is asked
  state.change({ askAt: now() + pollDelay(undefined, certificate) });
  if (chainPem === undefined) return;
  try {
    const { info, retryAfterMs } = await issuer.suggestion(chainPem);
    const askAt = now() + pollDelay(retryAfterMs, certificate);
    state.change({ suggestion: info && suggestionOf(info, certificate, parts), askAt });
  } catch (error) {
    if (!(error instanceof AcmeError)) throw error;
    logger.info({ reason: error.message }, 'the CA does not say when to renew');
  }
}

/** A window that is the same as before is no reason to pick another moment of it. */
function suggestionOf(
  { window, explanation }: RenewalInfo,
  certificate: NonNullable<AcmeState['certificate']>,
  { state, logger, random }: SuggestionParts,
): NonNullable<AcmeState['suggestion']> {
  const { suggestion: before } = state.value;
  if (before?.start === window.start && before.end === window.end) {
    return { ...before, explanation };
  }
  const renewAt = suggestedRenewalTime(window, certificate, random());
  logger.info(
    { certificate: certificate.id, renewAt: new Date(renewAt), explanation },
    'the CA suggests when to renew',
  );
  return { ...window, renewAt, explanation };
}
