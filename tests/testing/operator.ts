/** An operator's gRPC client for tests and benchmarks, over the same mutual TLS as any other. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { credentials, type Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  CertRegistryServiceClient,
  CheckFailure,
  type CheckResult,
  type Fleet,
  Rotation,
  RotationFailure,
  type RotationOptions,
  Status,
} from '@mail/proto';
import type { System } from './system.ts';

/** Mutual TLS under one of the identities in the data folder: "operator/admin", "service/imap". */
export function identityCredentials(
  data: string,
  identity: string,
): ReturnType<typeof credentials.createSsl> {
  const file = (name: string): Buffer => readFileSync(join(data, 'identities', identity, name));
  return credentials.createSsl(file('ca.pem'), file('key.pem'), file('cert.pem'), {
    checkServerIdentity: () => undefined,
  });
}

export function operatorClient(
  system: Pick<System, 'data' | 'registryPort'>,
  identity = 'operator/admin',
): CertRegistryServiceClient {
  return new CertRegistryServiceClient(
    `localhost:${system.registryPort}`,
    identityCredentials(system.data, identity),
  );
}

/** A refused call with the details that the registry attached. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
  readonly checks: readonly CheckResult[];
  readonly rotation: Rotation | undefined;
}

export function refusal(error: ServiceError): Refusal {
  const [binary] = (error.metadata as Metadata | undefined)?.get('grpc-status-details-bin') ?? [];
  const details = binary instanceof Buffer ? Status.decode(binary).details : [];
  const checks = details
    .filter(({ typeUrl }) => typeUrl.endsWith('/mail.certs.v1.CheckFailure'))
    .flatMap(({ value }) => CheckFailure.decode(value).checks);
  const rotation = details
    .filter(({ typeUrl }) => typeUrl.endsWith('/mail.certs.v1.RotationFailure'))
    .map(({ value }) => RotationFailure.decode(value).rotation)[0];
  return { code: error.code, message: error.details, checks, rotation };
}

export type RotationResult =
  | { readonly ok: true; readonly rotation: Rotation; readonly seen: readonly Rotation[] }
  | { readonly ok: false; readonly refusal: Refusal; readonly seen: readonly Rotation[] };

/** Rotates and waits for the end of the stream. `onChange` sees each message. */
export function rotate(
  client: CertRegistryServiceClient,
  certificateId: string,
  options: Partial<RotationOptions> = {},
  onChange: (rotation: Rotation) => void = () => {},
): Promise<RotationResult> {
  const call = client.rotateCertificate({
    certificateId,
    options: {
      require: undefined,
      allowNameLoss: false,
      drainPrevious: false,
      prepareTimeoutMs: 0,
      drainGraceMs: 0,
      allowTlsaMissing: false,
      ...options,
    },
  });
  return new Promise((resolve) => {
    const seen: Rotation[] = [];
    call.on('data', ({ rotation }: { rotation?: Rotation }) => {
      if (rotation === undefined) return;
      seen.push(rotation);
      onChange(rotation);
    });
    call.on('error', (error: ServiceError) =>
      resolve({ ok: false, refusal: refusal(error), seen }),
    );
    call.on('end', () => resolve({ ok: true, rotation: seen.at(-1) ?? Rotation.create(), seen }));
  });
}

export function getFleet(client: CertRegistryServiceClient): Promise<Fleet> {
  return new Promise((resolve, reject) => {
    client.getFleet({}, (error, response) => {
      if (error || response.fleet === undefined) reject(error ?? new Error('no fleet'));
      else resolve(response.fleet);
    });
  });
}

/** Resolves with the first fleet that satisfies `wanted`. */
export function fleetWhere(
  client: CertRegistryServiceClient,
  wanted: (fleet: Fleet) => boolean,
  timeoutMs = 30_000,
): Promise<Fleet> {
  const call = client.watchFleet({});
  return new Promise<Fleet>((resolve, reject) => {
    let last: Fleet | undefined;
    const timer = setTimeout(() => {
      const state = last?.subscribers.map(
        (one) => `${one.service}/${one.instance}@${one.generation}`,
      );
      reject(
        new Error(`the fleet never came to what was wanted; last ${state} of ${last?.generation}`),
      );
    }, timeoutMs);
    call.on('data', ({ fleet }: { fleet?: Fleet }) => {
      last = fleet;
      if (fleet === undefined || !wanted(fleet)) return;
      clearTimeout(timer);
      resolve(fleet);
    });
    call.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
  }).finally(() => call.cancel());
}
