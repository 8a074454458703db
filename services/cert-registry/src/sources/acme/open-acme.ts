/** The ACME source with everything that it stands on. */
import type { RegistryDatabase } from '../../database.ts';
import type { KeyVault } from '../../key-vault.ts';
import type { StoredValues } from '../../stored-values.ts';
import { AcmeAccount } from './account.ts';
import { AcmeSource, type AcmeSourceOptions } from './acme-source.ts';
import type { ChallengeSettings } from './config.ts';
import { DnsChallenge, type TxtWriter } from './dns-challenge.ts';
import { DnsHook } from './dns-hook.ts';
import { DnsUpdate } from './dns-update.ts';
import { authoritativeServersOf, untilVisible } from './dns-visibility.ts';
import { HttpChallenge } from './http-challenge.ts';
import { AcmeIssuer } from './issuer.ts';
import { NextRequest } from './next-request.ts';
import { KeptState } from './state.ts';

export interface AcmeParts
  extends Omit<
    AcmeSourceOptions,
    'account' | 'issuer' | 'listener' | 'nextRequest' | 'random' | 'state'
  > {
  readonly database: RegistryDatabase;
  readonly storedValues: StoredValues;
  readonly vault: KeyVault;
}

export function openAcme(parts: AcmeParts): AcmeSource {
  const { config, database, storedValues, vault, logger, now } = parts;
  const account = new AcmeAccount(database, vault, config.account);
  const listener =
    config.challenge.type === 'http-01' ? new HttpChallenge(config.challenge.listen) : undefined;
  const responder = listener ?? dnsChallenge(config.challenge, parts);
  return new AcmeSource({
    ...parts,
    account,
    issuer: (signal) => new AcmeIssuer({ config, account, responder, signal, now }),
    listener,
    nextRequest: new NextRequest({ ...parts, ...config, policy: config.keyPolicy, logger }),
    state: new KeptState(storedValues, config.account.directoryUrl),
    random: Math.random,
  });
}

function dnsChallenge(challenge: ChallengeSettings, { logger }: AcmeParts): DnsChallenge {
  if (challenge.type !== 'dns-01') throw new Error(`${challenge.type} is not proved by DNS`);
  const writer: TxtWriter =
    'hook' in challenge.writer
      ? new DnsHook(challenge.writer.hook, logger)
      : new DnsUpdate(challenge.writer.update);
  const { waitMs } = challenge;
  const monotonicNow = () => performance.now();
  const visibility = { serversOf: authoritativeServersOf, waitMs, logger, now: monotonicNow };
  return new DnsChallenge({
    writer,
    untilVisible: (records, signal) => untilVisible(records, visibility, signal),
    logger,
  });
}
