/**
 * The internal CA and the identities that it signs: made at the first start, written where services of
 * this host find theirs, renewed by their holders over gRPC. The CA's key lies in the database, sealed;
 * an identity's own key is in its folder alone (0600).
 */
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import {
  type Logger,
  readIdentity,
  ServiceError,
  withIdentityLock,
  writeIdentity,
} from '@mail/service';
import {
  type CertificateAuthority,
  createCa,
  generateKey,
  issueIdentity,
  readSigningRequest,
} from '@mail/x509';
import { refusing } from './certificates.ts';
import { IDENTITY } from './config.ts';
import type { RegistryDatabase } from './database.ts';
import type { KeyVault } from './key-vault.ts';
import { type Identity, parseIdentity, REGISTRY_IDENTITY } from './roles.ts';

const CA_CERTIFICATE = 'internal-ca';
const CA_KEY = 'internal-ca-key';
const CA_NAME = 'Concert internal CA';

/** What a TLS end of the internal network needs, as PEM. */
export interface IdentityFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export class Identities {
  readonly #ca: CertificateAuthority;
  readonly #days: number;
  readonly #now: () => number;

  private constructor(ca: CertificateAuthority, days: number, now: () => number) {
    this.#ca = ca;
    this.#days = days;
    this.#now = now;
  }

  /** Opens the CA, or makes it at the first start. Throws VaultError. */
  static async open(options: {
    readonly database: RegistryDatabase;
    readonly vault: KeyVault;
    /** Life of the identities of services and operators. */
    readonly days: number;
    readonly now: () => number;
  }): Promise<Identities> {
    const { database, vault, days, now } = options;
    const certificatePem = database.setting(CA_CERTIFICATE);
    const sealed = database.secret(CA_KEY);
    if (certificatePem !== undefined && sealed !== undefined) {
      const ca = {
        certificate: new X509Certificate(certificatePem),
        privateKey: createPrivateKey(vault.open(CA_KEY, sealed).toString('utf8')),
      };
      return new Identities(ca, days, now);
    }
    const ca = await createCa({
      commonName: CA_NAME,
      days: IDENTITY.caDays,
      now: new Date(now()),
    });
    database.transaction(() => {
      database.setSetting(CA_CERTIFICATE, ca.certificate.toString());
      database.setSecret(CA_KEY, vault.seal(CA_KEY, toPem(ca.privateKey)));
    });
    return new Identities(ca, days, now);
  }

  get caPem(): string {
    return this.#ca.certificate.toString();
  }

  /**
   * Signs the key of a PKCS#10 request under an identity; what else the request asks for is ignored.
   * Throws RegistryError (invalid-argument).
   */
  async sign(identity: Identity, signingRequestPem: string): Promise<string> {
    const { publicKey } = await refusing(async () => readSigningRequest(signingRequestPem));
    return this.#issue(identity, publicKey, this.#days, []);
  }

  /** The registry's own end, with a fresh key; `hosts` are the DNS names it is reached under. */
  async issueOwn(hosts: readonly string[]): Promise<IdentityFiles> {
    const key = await generateKey('ecdsa-p256');
    const cert = this.#issue(REGISTRY_IDENTITY, createPublicKey(key), IDENTITY.registryDays, hosts);
    return { cert, key: toPem(key), ca: this.caPem };
  }

  /**
   * Sees to it that `folder` holds these identities ("service/imap"), each usable with this CA and not
   * close to its end. Throws ServiceError (bad-setting, folder-not-writable).
   */
  async provide(folder: string, names: readonly string[], logger: Logger): Promise<void> {
    for (const name of names) {
      const identity = identityFromSetting(name);
      const home = join(folder, name);
      if ((await this.#judge(home, identity)) === 'good') continue;
      const make = async () => {
        // a holder may have renewed it in the moment before
        if ((await this.#judge(home, identity)) === 'good') return;
        await this.#make(home, identity);
        logger.info({ identity: identity.uri, folder: home }, 'made an identity');
      };
      try {
        if (await withIdentityLock(home, make)) continue;
        // whoever holds the lock has nothing to renew with: left by one that died just now
        if ((await this.#judge(home, identity)) === 'unusable') await make();
      } catch (cause) {
        throw new ServiceError(
          'folder-not-writable',
          `cannot write the identity in ${home}; let this user write there or set CONCERT_IDENTITIES`,
          { cause },
        );
      }
    }
  }

  async #make(home: string, identity: Identity): Promise<void> {
    const key = await generateKey('ecdsa-p256');
    const chainPem = this.#issue(identity, createPublicKey(key), this.#days, []);
    await writeIdentity(home, { chainPem, keyPem: toPem(key), caPem: this.caPem });
  }

  #issue(identity: Identity, publicKey: KeyObject, days: number, hosts: readonly string[]): string {
    return issueIdentity({
      ca: this.#ca,
      publicKey,
      uri: identity.uri,
      dnsNames: hosts,
      days,
      now: new Date(this.#now()),
    }).toString();
  }

  /** What lies in `home`: missing, unreadable, expired, another's or another CA's is unusable. */
  async #judge(home: string, { uri }: Identity): Promise<'good' | 'due' | 'unusable'> {
    const found = await readIdentity(home).catch(() => undefined);
    const usable =
      found?.uri === uri &&
      found.caPem === this.caPem &&
      found.certificate.verify(this.#ca.certificate.publicKey) &&
      found.certificate.validToDate.getTime() > this.#now();
    if (!usable) return 'unusable';
    return isDueForRenewal(found.certificate, this.#now()) ? 'due' : 'good';
  }
}

/** `now` in milliseconds. */
export function isDueForRenewal(certificate: X509Certificate, now: number): boolean {
  const begin = certificate.validFromDate.getTime();
  const end = certificate.validToDate.getTime();
  return end - now < (end - begin) * IDENTITY.renewBelow;
}

function identityFromSetting(name: string): Identity {
  try {
    return parseIdentity(name);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ServiceError('bad-setting', `CONCERT_REGISTRY_IDENTITIES: ${message}`, { cause });
  }
}

function toPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
