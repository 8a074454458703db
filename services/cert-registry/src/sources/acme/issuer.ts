/**
 * The CA as the source sees it: a chain for a signing request, a suggestion for a certificate. Each is one
 * conversation, under the account, within a deadline.
 */
import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { renewalInfoId } from '@mail/x509';
import type { AcmeAccount } from './account.ts';
import type { ChallengeResponder } from './challenge.ts';
import type { AcmeConfig } from './config.ts';
import { AcmeConnection } from './connection.ts';
import { within } from './deadline.ts';
import { AcmeError } from './errors.ts';
import { fulfilOrder, type OrderRequest } from './order.ts';
import { type RenewalInfo, readRenewalInfo } from './renewal-info.ts';
import { stopReason } from './transport.ts';

/** For a whole order, the wait for DNS included; what is not done then goes on at the next attempt. */
const ORDER_MS = 1_800_000;
const SUGGESTION_MS = 60_000;

export interface IssuerOptions {
  readonly config: AcmeConfig;
  readonly account: AcmeAccount;
  readonly responder: ChallengeResponder;
  /** Ends whatever is under way. */
  readonly signal: AbortSignal;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
}

export interface IssueRequest
  extends Omit<OrderRequest, 'profile' | 'preferredChain' | 'replaces'> {
  /** The chain as PEM of the certificate whose place it takes. */
  readonly replacedPem: string | undefined;
}

export interface IssueWatcher {
  readonly onOrder: (url: string) => void;
  readonly onStep: (step: string) => void;
}

export class AcmeIssuer {
  readonly #options: IssuerOptions;

  constructor(options: IssuerOptions) {
    this.#options = options;
  }

  /** The chain as PEM. Throws AcmeError. */
  issue({ replacedPem, ...request }: IssueRequest, watcher: IssueWatcher): Promise<string> {
    const { config, account, responder } = this.#options;
    const { profile, preferredChain } = config;
    const replaces = replacedPem && renewalInfoId(new X509Certificate(replacedPem));
    const order = { ...request, profile, preferredChain, replaces };
    return this.#converse(ORDER_MS, async (connection, signal) => {
      const around = { connection, responder, signal, pause, ...watcher };
      watcher.onStep(`asks ${config.account.directoryUrl}`);
      await account.enter(connection);
      try {
        return await fulfilOrder(order, around);
      } catch (error) {
        if (!(error instanceof AcmeError) || error.problemType !== 'accountDoesNotExist')
          throw error;
        // a CA of tests forgets all at its start
        account.forget();
        await account.enter(connection);
        return fulfilOrder({ ...order, url: undefined }, around);
      }
    });
  }

  /**
   * What the CA suggests for a certificate, and how long it wants to be left alone; `info` is undefined where
   * it suggests nothing. Throws AcmeError.
   */
  suggestion(
    chainPem: string,
  ): Promise<{ info: RenewalInfo | undefined; retryAfterMs: number | undefined }> {
    return this.#converse(SUGGESTION_MS, async (connection) => {
      const { renewalInfo } = connection.directory;
      const id = renewalInfoId(new X509Certificate(chainPem));
      if (renewalInfo === undefined || id === undefined) {
        return { info: undefined, retryAfterMs: undefined };
      }
      const { body, retryAfterMs } = await connection.get(
        `${renewalInfo.replace(/\/$/, '')}/${id}`,
      );
      return { info: readRenewalInfo(body), retryAfterMs };
    });
  }

  #converse<T>(
    deadlineMs: number,
    talk: (connection: AcmeConnection, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { config, account, signal: stopping, now } = this.#options;
    return within(deadlineMs, new AcmeError('timed-out', 'the CA took too long'), async (late) => {
      const signal = AbortSignal.any([stopping, late]);
      const connection = await AcmeConnection.open({
        directoryUrl: config.account.directoryUrl,
        caPem: config.caPem,
        accountKeyPem: await account.key(),
        externalAccount: config.account.externalAccount,
        signal,
        now,
      });
      try {
        return await talk(connection, signal);
      } finally {
        connection.close();
      }
    });
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {
    throw stopReason(signal);
  });
}
