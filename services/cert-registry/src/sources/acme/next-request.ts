/**
 * The signing request with the next certificate's key, as certificates.ts keeps it. What it should be is
 * next-key.ts's.
 */
import type { KeyType } from '@mail/proto';
import type { Logger } from '@mail/service';
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
   * Has the request that fits, and returns its id. `requestId` is the one before, which goes where
   * another takes its place; `lastId` is the certificate that came last. Throws RegistryError.
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
    if (pending !== undefined) database.deleteCertificate(pending.id);
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

function described({ id, spki, description }: CertificateRow): HeldRequest {
  const { keyType, dnsNames }: { keyType: string; dnsNames: string[] } = JSON.parse(description);
  return { id, spki, keyType, names: dnsNames };
}
