/**
 * Calls to the registry: mutual TLS from the files of an identity folder, a deadline on every call, and
 * refusals as CliError. The registry proves itself by its URI name, so host names do not matter.
 */
import {
  type CallOptions,
  Client,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { CheckFailure, RotationFailure, Status } from '@mail/proto';
import {
  checkRegistryIdentity,
  describeExpiry,
  type Identity,
  readIdentity,
  ServiceError as ServiceFault,
} from '@mail/service';
import { CliError, type CliErrorDetails } from './errors.ts';
import { type CheckView, checkView, type RotationView, rotationView } from './views.ts';

/** For calls that only read: a large fleet, or a preview that looks records up, takes a second or two. */
const READ_TIMEOUT_MS = 10_000;
/** For the others; a large RSA key or a costly PKCS#12 takes seconds. */
const CHANGE_TIMEOUT_MS = 30_000;
/** As often an open stream asks whether the registry still lives, and waits so long for its answer. */
const KEEPALIVE = { everyMs: 10_000, timeoutMs: 10_000 };
/** What a list of every certificate or a fleet of thousands may take. */
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
const DETAILS_KEY = 'grpc-status-details-bin';
const REQUEST_ID_KEY = 'x-request-id';

/** As ts-proto generates it. */
export interface Method<Q, R> {
  readonly path: string;
  readonly requestSerialize: (request: Q) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => R;
}

export interface StreamOptions {
  /** Without it the stream lasts until one side ends it. */
  readonly timeoutMs?: number;
}

export interface RegistryClient {
  /** Throws CliError. */
  unary<Q, R>(method: Method<Q, R>, request: Q): Promise<R>;
  /** Throws CliError while it is read. Leaving the loop cancels the call. */
  stream<Q, R>(method: Method<Q, R>, request: Q, options?: StreamOptions): AsyncIterable<R>;
  close(): void;
}

/** The identity to call with. Throws CliError (no-identity). */
async function identityIn(folder: string): Promise<Identity> {
  const identity = await readIdentity(folder).catch((error) => {
    throw error instanceof ServiceFault ? explainIdentity(error, folder) : error;
  });
  const expiry = describeExpiry(identity, folder, new Date());
  if (expiry !== undefined) {
    throw new CliError('no-identity', expiry.message, { remedy: expiry.remedy });
  }
  return identity;
}

function explainIdentity(error: ServiceFault, folder: string): CliError {
  const { cause } = error;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'EACCES') {
    return new CliError('no-identity', `this user may not read the identity in ${folder}`, {
      remedy: 'Run the command as the user who runs Concert, or name another --identity.',
      cause: error,
    });
  }
  if (code === 'ENOENT') {
    return new CliError('no-identity', `there is no identity in ${folder}: ${error.message}`, {
      remedy:
        'The registry writes one for its operator at its first start (`npm start` in a checkout); ' +
        'name its folder with --identity, or the data folder with --data.',
      cause: error,
    });
  }
  return new CliError('no-identity', `the identity in ${folder} can't be used: ${error.message}`, {
    remedy: 'cert.pem and key.pem must belong together and be PEM, as ca.pem.',
    cause: error,
  });
}

/** What google.rpc.Status in a refusal's trailers says, as far as it is ours. */
function readDetails(error: ServiceError): { checks: CheckView[]; rotation?: RotationView } {
  const [packed] = error.metadata?.get(DETAILS_KEY) ?? [];
  const details: { checks: CheckView[]; rotation?: RotationView } = { checks: [] };
  if (!Buffer.isBuffer(packed)) return details;
  try {
    for (const { typeUrl, value } of Status.decode(packed).details) {
      if (typeUrl.endsWith('/mail.certs.v1.CheckFailure')) {
        details.checks.push(...CheckFailure.decode(value).checks.map(checkView));
      } else if (typeUrl.endsWith('/mail.certs.v1.RotationFailure')) {
        const { rotation } = RotationFailure.decode(value);
        if (rotation !== undefined) details.rotation = rotationView(rotation);
      }
    }
  } catch {
    // details that can't be read leave the status and its message, which say enough
  }
  return details;
}

/** Whether a call to the method changes nothing, by the verb that its name begins with. */
function isRead(path: string): boolean {
  return /\/(?:Get|List|Preview|Watch)\w+$/.test(path);
}

/** How to find the call in the registry's log, where it told the id of it. */
function whereLogged(error: ServiceError): string | undefined {
  const [request] = error.metadata?.get(REQUEST_ID_KEY) ?? [];
  if (typeof request !== 'string' || !/^[\w.:-]{1,64}$/.test(request)) return undefined;
  return `Its log tells more, in the lines of the request ${request}.`;
}

/** OpenSSL's words for what happens at a port that is not the registry's, and what they mean. */
const WRONG_PORT: readonly (readonly [RegExp, string])[] = [
  [
    /wrong version number|packet length too long|bad record type/,
    'no TLS there, so it is another program that answers',
  ],
  [/no application protocol/, 'TLS there but no gRPC, so it is another program that answers'],
  [
    /self-signed certificate|unable to (verify|get)/,
    "what answers there has no certificate of the CA in the identity's ca.pem: it is another program, or another registry",
  ],
];

/** What keeps us from the registry, without grpc-js's and OpenSSL's own words around it. */
function connectionFault(details: string): string {
  const [, meaning] = WRONG_PORT.find(([words]) => words.test(details)) ?? [];
  if (meaning !== undefined) return meaning;
  return details
    .replace(/^No connection established\. Last error: /, '')
    .replace(/\.? ?Resolution note:.*$/s, '')
    .replace(/^Error: /, '')
    .replace(/^[0-9A-F]+:error:[^:]*:[^:]*:[^:]*:([^:]*):.*$/s, '$1');
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'details' in error;
}

/** What to do where the registry did not answer a call to the method at `path` in time. */
function remedyForSilence(path: string): string {
  return isRead(path)
    ? 'Is it stopped or overloaded? Its log says more; nothing was changed by this call.'
    : 'Look at `concert rotations` and `concert audit` before you repeat the change.';
}

/** Turns what a call of `path` to the registry at `address` failed with into what the operator should know. */
function toCliError(error: unknown, address: string, path: string): unknown {
  if (!isServiceError(error)) return error;
  const { checks, rotation } = readDetails(error);
  const details: CliErrorDetails = {
    cause: error,
    ...(checks.length === 0 ? {} : { checks }),
    ...(rotation === undefined ? {} : { rotation }),
  };
  switch (error.code) {
    case status.UNAVAILABLE:
      return new CliError(
        'registry-unreachable',
        `the registry is not reachable at ${address}: ${connectionFault(error.details)}`,
        {
          ...details,
          remedy:
            'Is it running (`npm start` in a checkout)? Another address goes with --registry.',
        },
      );
    case status.DEADLINE_EXCEEDED:
      return new CliError('timed-out', `the registry at ${address} did not answer in time`, {
        ...details,
        remedy: remedyForSilence(path),
      });
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
      return new CliError('not-permitted', error.details, {
        ...details,
        remedy: 'Use the identity of an operator: --identity DIR.',
      });
    case status.NOT_FOUND:
      return new CliError('not-found', error.details, details);
    case status.INVALID_ARGUMENT:
    case status.OUT_OF_RANGE:
      return new CliError(checks.length > 0 ? 'refused' : 'usage', error.details, details);
    case status.ABORTED:
      return new CliError('rotation-refused', error.details, details);
    case status.FAILED_PRECONDITION:
      return new CliError(
        rotation === undefined ? 'refused' : 'rotation-refused',
        error.details,
        details,
      );
    case status.ALREADY_EXISTS:
    case status.RESOURCE_EXHAUSTED:
      return new CliError('refused', error.details, details);
    case status.UNIMPLEMENTED:
      return new CliError('refused', `the registry at ${address} does not know this call`, {
        ...details,
        remedy: 'Run the same version of the command and of the registry.',
      });
    default:
      return new CliError('bug', `the registry failed: ${error.details}`, {
        ...details,
        remedy: whereLogged(error),
      });
  }
}

/** Connects lazily: only a call can find the registry gone. Throws CliError (no-identity). */
export async function openRegistry(
  address: string,
  identityFolder: string,
): Promise<RegistryClient> {
  const { caPem, keyPem, chainPem } = await identityIn(identityFolder);
  const [ca, key, chain] = [caPem, keyPem, chainPem].map((pem) => Buffer.from(pem));
  const channelCredentials = credentials.createSsl(ca, key, chain, {
    checkServerIdentity: checkRegistryIdentity,
  });
  const client = new Client(address, channelCredentials, {
    // sent as SNI, where an IP address is not allowed (RFC 6066 §3)
    'grpc.ssl_target_name_override': 'registry',
    'grpc.max_receive_message_length': MAX_RESPONSE_BYTES,
    'grpc.enable_retries': 0,
    'grpc.keepalive_time_ms': KEEPALIVE.everyMs,
    'grpc.keepalive_timeout_ms': KEEPALIVE.timeoutMs,
  });
  const callOptions = (timeoutMs: number | undefined): Partial<CallOptions> =>
    timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };

  return {
    unary(method, request) {
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          request,
          new Metadata(),
          callOptions(isRead(method.path) ? READ_TIMEOUT_MS : CHANGE_TIMEOUT_MS),
          (error, response) => {
            if (error) reject(toCliError(error, address, method.path));
            else if (response === undefined) reject(new Error(`${method.path} answered nothing`));
            else resolve(response);
          },
        );
      });
    },
    async *stream(method, request, options = {}) {
      const call = client.makeServerStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        callOptions(options.timeoutMs),
      );
      try {
        yield* call;
      } catch (error) {
        throw toCliError(error, address, method.path);
      } finally {
        call.cancel();
      }
    },
    close: () => client.close(),
  };
}
