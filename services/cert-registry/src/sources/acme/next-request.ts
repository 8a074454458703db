/**
 * The signing request with the next certificate's key, as certificates.ts keeps it. What it should be is
 * next-key.ts's.
 */
import type { KeyType } from '@mail/proto';
import type { Logger } from '@mail/service';
import { z } from 'zod';
import type { Certificates } from '../../certificates.ts';
import type { CertificateRow, RegistryDatabase } from '../../database.ts';
import { sourceActor } from '../source.ts';
import { type HeldRequest, planNextKey } from './next-key.ts';

export interface NextRequestOptions {
  readonly certificates: Certificates;
  readonly database: RegistryDatabase;
  readonly logger: Logger;
  readonly keyType: KeyType;
  /** As describeKey says. */
  readonly keyTypeName: string;
  readonly policy: 'fresh' | 'reuse';
}

export class NextRequest {
  readonly #options: NextRequestOptions;

  constructor(options: NextRequestOptions) {
    this.#options = options;
  }

  /** Undefined where there is none, or it has been answered. */
  spki(requestId: string | undefined): string {
    return this.#pending(requestId)?.spki ?? '';
  }

  /**
   * Has the request that fits, and returns its id. `requestId` is the one before, `lastId` the certificate
   * that came last. What is replaced stays, for needless.ts to find: so does what a process has made that died
   * before it could keep the id. Throws RegistryError.
   */
  async ensure(
    requestId: string | undefined,
    lastId: string | undefined,
    names: readonly string[],
  ): Promise<string> {
    const { certificates, database, logger, keyType, keyTypeName, policy } = this.#options;
    const pending = this.#pending(requestId);
    const last = lastId === undefined ? undefined : database.certificate(lastId);
    const plan = planNextKey({
      request: pending && described(pending),
      last: last && described(last),
      policy,
      keyType: keyTypeName,
      names,
    });
    if (plan.kind === 'keep' && pending !== undefined) return pending.id;
    const keyOf = plan.kind === 'make' ? plan.keyOf : undefined;
    const label = 'by ACME';
    const request = { dnsNames: [...names], keyType, label };
    const made = await certificates.createSigningRequest(request, sourceActor('acme'), keyOf);
    logger.info(
      { certificate: made.id, spki: made.spkiSha256 },
      'made the request for the next certificate',
    );
    return made.id;
  }

  #pending(id: string | undefined): CertificateRow | undefined {
    const row = id === undefined ? undefined : this.#options.database.certificate(id);
    return row?.chainPem === null ? row : undefined;
  }
}

/** What of a row's description is of use here. */
const descriptionSchema = z.object({ keyType: z.string(), dnsNames: z.array(z.string()) });

function described({ id, spki, description }: CertificateRow): HeldRequest {
  const { keyType, dnsNames } = descriptionSchema.parse(JSON.parse(description));
  return { id, spki, keyType, names: dnsNames };
}
