/**
 * Keeps the process's identity fresh: renews it at two thirds of its life where the folder can be
 * written, and takes what others put there (sibling workers, an orchestrator that mounts secrets).
 */
import type { Logger } from '@mail/service';
import { createSigningRequest, generateKey } from '@mail/x509';
import {
  type Identity,
  isSameIdentity,
  isWritable,
  readIdentity,
  renewAlone,
  renewalTime,
  writeIdentity,
} from './identity.ts';
import { requestRenewal } from './registry-client.ts';

/** How often the folder is looked at. */
const CHECK_INTERVAL_MS = 60_000;

export interface IdentityKeeperOptions {
  readonly folder: string;
  /** "host:port" of the registry. */
  readonly registry: string;
  readonly logger: Logger;
}

export class IdentityKeeper {
  readonly #options: IdentityKeeperOptions;
  readonly #observers = new Set<(identity: Identity) => void>();
  #identity: Identity;
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;

  private constructor(options: IdentityKeeperOptions, identity: Identity) {
    this.#options = options;
    this.#identity = identity;
    this.#timer = setInterval(() => this.check(), CHECK_INTERVAL_MS);
    this.#timer.unref();
  }

  /** @throws CertsError bad-identity when the folder holds none */
  static async open(options: IdentityKeeperOptions): Promise<IdentityKeeper> {
    return new IdentityKeeper(options, await readIdentity(options.folder));
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
    this.#checking ??= this.#check(now)
      .catch((error) => {
        this.#options.logger.warn({ error }, 'the identity could not be read or renewed');
      })
      .finally(() => {
        this.#checking = undefined;
      });
    return this.#checking;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#checking;
  }

  async #check(now: Date): Promise<void> {
    const { folder, logger } = this.#options;
    await this.#adopt();
    if (now < renewalTime(this.#identity) || !(await isWritable(folder))) return;
    await renewAlone(folder, async () => {
      // another process may have finished a renewal just before
      await this.#adopt();
      if (now < renewalTime(this.#identity)) return;
      await this.#renew();
      logger.info({ identity: this.#identity.uri }, 'the identity is renewed');
    });
  }

  async #adopt(): Promise<void> {
    const found = await readIdentity(this.#options.folder);
    if (isSameIdentity(found, this.#identity)) return;
    this.#identity = found;
    for (const observer of this.#observers) observer(found);
  }

  async #renew(): Promise<void> {
    const { folder, registry } = this.#options;
    const privateKey = await generateKey('ecdsa-p256');
    // the registry takes the name from the connection; the request carries the key alone
    const request = createSigningRequest({ names: [], privateKey });
    const { chainPem, caPem } = await requestRenewal(registry, this.#identity, request);
    const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await writeIdentity(folder, { chainPem, keyPem, caPem });
    await this.#adopt();
  }
}
