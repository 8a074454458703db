/**
 * Keeps the process's identity fresh: renews it at two thirds of its life, and takes what others put into
 * the folder (sibling workers, an orchestrator that mounts secrets). What it holds in memory it keeps,
 * whatever becomes of the folder: one that it may not write, as a mounted secret, is renewed in memory
 * alone, until a newer one lies there.
 */
import { X509Certificate } from 'node:crypto';
import {
  describeExpiry,
  type Identity,
  isSameIdentity,
  isWritable,
  type Logger,
  readIdentity,
  ServiceError,
  withIdentityLock,
  writeIdentity,
} from '@mail/service';
import { createSigningRequest, generateKey } from '@mail/x509';
import { CertsError } from './errors.ts';
import { requestRenewal } from './registry-client.ts';

/** How often the folder is looked at. */
const CHECK_INTERVAL_MS = 60_000;

export interface IdentityKeeperOptions {
  readonly folder: string;
  /** "host:port" of the registry. */
  readonly registry: string;
  readonly logger: Logger;
}

/** Two thirds into the identity's life. */
export function renewalTime({ certificate }: Identity): Date {
  const from = certificate.validFromDate.getTime();
  return new Date(from + ((certificate.validToDate.getTime() - from) * 2) / 3);
}

export class IdentityKeeper {
  readonly #options: IdentityKeeperOptions;
  readonly #observers = new Set<(identity: Identity) => void>();
  readonly #timer: NodeJS.Timeout;
  #identity: Identity;
  /** False while a renewed identity is here and not in the folder: not yet, or because it is only read. */
  #written = true;
  #lastCheck: Promise<void> = Promise.resolve();

  private constructor(options: IdentityKeeperOptions, identity: Identity) {
    this.#options = options;
    this.#identity = identity;
    this.#timer = setInterval(() => this.check(), CHECK_INTERVAL_MS);
    this.#timer.unref();
    // one that is due or over is seen to now, and waited for by nobody
    this.check();
  }

  /** @throws CertsError bad-identity when the folder holds none */
  static async open(options: IdentityKeeperOptions): Promise<IdentityKeeper> {
    try {
      return new IdentityKeeper(options, await readIdentity(options.folder));
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      throw new CertsError('bad-identity', error.message, { cause: error });
    }
  }

  get identity(): Identity {
    return this.#identity;
  }

  /** Calls `observer` with each new identity; returns how to stop it. */
  observe(observer: (identity: Identity) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Takes what the folder holds by now, or renews it when that is due. Never rejects. */
  check(now: Date = new Date()): Promise<void> {
    this.#lastCheck = this.#lastCheck
      .then(() => this.#check(now))
      .catch((error) => {
        this.#options.logger.warn({ error }, 'the identity could not be renewed');
      });
    return this.#lastCheck;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#lastCheck;
  }

  async #check(now: Date): Promise<void> {
    const { folder, logger } = this.#options;
    await this.#adopt().catch((error) => {
      logger.warn({ error }, 'the identity could not be read; going on with the one in memory');
    });
    const expiry = describeExpiry(this.#identity, folder, now);
    if (expiry !== undefined) {
      // the registry would refuse to renew it
      logger.error(`${expiry.message}: the registry refuses it. ${expiry.remedy}`);
      return;
    }
    const due = now >= renewalTime(this.#identity);
    if (!due && this.#written) return;
    if (await isWritable(folder)) await this.#replace(now);
    else if (due) await this.#renew();
  }

  async #replace(now: Date): Promise<void> {
    const { folder } = this.#options;
    await withIdentityLock(folder, async () => {
      // another process may have finished a renewal just before; a folder that is broken is written anew
      await this.#adopt().catch(() => {});
      if (now >= renewalTime(this.#identity)) await this.#renew();
      if (this.#written) return;
      await writeIdentity(folder, this.#identity);
      this.#written = true;
    });
  }

  async #adopt(): Promise<void> {
    const found = await readIdentity(this.#options.folder);
    const foundFrom = found.certificate.validFromDate;
    // what lies there may be what ours is to replace
    if (!this.#written && foundFrom <= this.#identity.certificate.validFromDate) return;
    this.#written = true;
    if (!isSameIdentity(found, this.#identity)) this.#take(found);
  }

  async #renew(): Promise<void> {
    const privateKey = await generateKey('ecdsa-p256');
    // the registry takes the name from the connection; the request carries the key alone
    const request = createSigningRequest({ names: [], privateKey });
    const signed = await requestRenewal(this.#options.registry, this.#identity, request);
    const certificate = new X509Certificate(signed.chainPem);
    const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    this.#written = false;
    this.#take({ ...signed, uri: this.#identity.uri, keyPem, certificate, privateKey });
    this.#options.logger.info({ identity: this.#identity.uri }, 'the identity is renewed');
  }

  #take(identity: Identity): void {
    this.#identity = identity;
    for (const observer of this.#observers) observer(identity);
  }
}
