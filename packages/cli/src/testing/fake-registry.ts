/**
 * A registry that answers what a test tells it to, over real mutual TLS with certificates made for the
 * test. It knows no rules: what the real registry decides is tested there.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import {
  CertRegistryServiceService,
  CheckFailure,
  type CheckResult,
  IdentityServiceService,
  type Rotation,
  RotationFailure,
  Status,
} from '@mail/proto';
import { writeIdentity as writeParts } from '@mail/service';
import { type CertificateAuthority, createCa, generateKey, issueIdentity } from '@mail/x509';

export interface FakeRegistry {
  /** host:port */
  readonly address: string;
  readonly ca: CertificateAuthority;
  /** Requests by method, in order. */
  readonly requests: readonly { readonly method: string; readonly request: unknown }[];
  /** Has the method answer with this from now on; a list for a stream, an Error to refuse. */
  answer(method: string, response: object | readonly object[] | ServiceError): void;
  /** As answer for a stream that goes on until the client leaves; a unary call is never answered. */
  keepOpen(method: string, responses: readonly object[]): void;
  close(): void;
}

export interface Refusal {
  readonly code: number;
  readonly message: string;
  readonly checks?: readonly Partial<CheckResult>[];
  readonly rotation?: Partial<Rotation>;
}

/** A gRPC error with google.rpc.Status in its trailers, as the registry makes them. */
export function refusal({ code, message, checks, rotation }: Refusal): ServiceError {
  const details = [];
  if (checks !== undefined) {
    const value = CheckFailure.encode(CheckFailure.fromPartial({ checks: [...checks] })).finish();
    details.push({
      typeUrl: 'type.googleapis.com/mail.certs.v1.CheckFailure',
      value: Buffer.from(value),
    });
  }
  if (rotation !== undefined) {
    const value = RotationFailure.encode(RotationFailure.fromPartial({ rotation })).finish();
    details.push({
      typeUrl: 'type.googleapis.com/mail.certs.v1.RotationFailure',
      value: Buffer.from(value),
    });
  }
  const packed = Status.encode(Status.fromPartial({ code, message, details })).finish();
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(packed));
  return Object.assign(new Error(message), { code, details: message, metadata });
}

/** Writes cert.pem, key.pem and ca.pem of an identity that lasts a day into `folder`. */
export async function writeIdentity(
  folder: string,
  ca: CertificateAuthority,
  uri: string,
  madeAt: Date = new Date(),
): Promise<void> {
  const { chain, key } = await issue(ca, uri, madeAt);
  const caPem = ca.certificate.toString();
  await writeParts(folder, { chainPem: chain, keyPem: pemOf(key), caPem });
}

async function issue(
  ca: CertificateAuthority,
  uri: string,
  now: Date = new Date(),
): Promise<{ chain: string; key: KeyObject }> {
  const key = await generateKey('ecdsa-p256');
  const leaf = issueIdentity({
    ca,
    publicKey: createPublicKey(key),
    uri,
    days: 1,
    now,
  });
  return { chain: leaf.toString(), key };
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** `uri`: the name that the registry proves, for tests of one that is not the registry. */
export async function openFakeRegistry(
  options: { readonly uri?: string } = {},
): Promise<FakeRegistry> {
  const ca = await createCa({ commonName: 'Test CA', days: 1, now: new Date() });
  const { chain, key } = await issue(ca, options.uri ?? 'spiffe://concert/registry');
  const requests: { method: string; request: unknown }[] = [];
  const answers = new Map<string, { response: unknown; open: boolean }>();

  const find = (method: string, request: unknown) => {
    requests.push({ method, request });
    const found = answers.get(method);
    const response = found?.response ?? refusal({ code: status.UNIMPLEMENTED, message: method });
    return { response, open: found?.open ?? false };
  };
  const unary =
    (method: string): handleUnaryCall<unknown, unknown> =>
    (call, callback) => {
      const { response, open } = find(method, call.request);
      if (open) return;
      if (response instanceof Error) callback(response as ServiceError);
      else callback(null, response);
    };
  const stream =
    (method: string): handleServerStreamingCall<unknown, unknown> =>
    (call) => {
      const { response, open } = find(method, call.request);
      if (response instanceof Error) return void call.emit('error', response);
      for (const message of response as readonly unknown[]) {
        if (message instanceof Error) return void call.emit('error', message);
        call.write(message);
      }
      if (!open) call.end();
    };

  const server = new Server();
  for (const definition of [CertRegistryServiceService, IdentityServiceService]) {
    const handlers: UntypedServiceImplementation = {};
    for (const [method, { responseStream }] of Object.entries(definition)) {
      handlers[method] = responseStream ? stream(method) : unary(method);
    }
    server.addService(definition, handlers);
  }
  const credentials = ServerCredentials.createSsl(
    Buffer.from(ca.certificate.toString()),
    [{ private_key: Buffer.from(pemOf(key)), cert_chain: Buffer.from(chain) }],
    true,
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    ca,
    requests,
    answer: (method, response) => void answers.set(method, { response, open: false }),
    keepOpen: (method, responses) => void answers.set(method, { response: responses, open: true }),
    close: () => server.forceShutdown(),
  };
}
