/**
 * CertRegistryService and IdentityService: one thin handler per RPC that converts, calls the module which
 * owns the rule, and converts back. The role check has come before (grpc-server.ts); what changes
 * something goes into the audit trail here, whatever came of it.
 */
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from '@grpc/grpc-js';
import {
  type Certificate,
  type CertRegistryServiceServer,
  CertRegistryServiceService,
  type CheckResult,
  type Fleet,
  type IdentityServiceServer,
  IdentityServiceService,
  type Rotation,
  type RunSourceRequest,
  type RunSourceResponse,
  type TlsaRecord,
} from '@mail/proto';
import type { Logger } from '@mail/service';
import type { AuditTrail } from './audit.ts';
import type { Certificates } from './certificates.ts';
import { DEFAULTS, LIMITS } from './config.ts';
import { describeOutcome, RegistryError, toGrpcError } from './errors.ts';
import type { FleetFeed, WatchCall } from './fleet-feed.ts';
import type { Identities } from './identities.ts';
import type { RequiredNames } from './required-names.ts';
import { authorise, type Identity, identityOf, parseIdentity } from './roles.ts';
import type { Rotations } from './rotations.ts';
import type { Sources } from './sources/source.ts';
import type { SwitchGuard } from './switch-guard.ts';
import { readOptions, type SwitchOptions } from './switch-options.ts';
import { WorkQueue } from './work-queue.ts';

export interface RegistryServiceOptions {
  readonly certificates: Certificates;
  readonly rotations: Rotations;
  readonly requiredNames: RequiredNames;
  readonly identities: Identities;
  readonly sources: Sources;
  readonly tlsaRecords: () => TlsaRecord[];
  readonly guard: SwitchGuard | undefined;
  readonly audit: AuditTrail;
  readonly fleet: () => Fleet;
  readonly feed: FleetFeed;
  readonly logger: Logger;
  /** Wall clock in milliseconds. */
  readonly now: () => number;
}

/** The contract's service; WatchFleet's responses are encoded already, once for all watchers. */
export const registryDefinition = {
  ...CertRegistryServiceService,
  watchFleet: {
    ...CertRegistryServiceService.watchFleet,
    responseSerialize: (encoded: Buffer): Buffer => encoded,
    responseDeserialize: (encoded: Buffer): Buffer => encoded,
  },
} as const;

export const identityDefinition = IdentityServiceService;

type RegistryHandlers = Omit<CertRegistryServiceServer, 'watchFleet'> & {
  watchFleet: (call: WatchCall) => void;
};

export function registryService(options: RegistryServiceOptions): RegistryHandlers {
  const { certificates, rotations, requiredNames, sources, audit, fleet, feed, logger, now } =
    options;
  const { reading, changing } = unaryHandlers(options);

  /** Adds, as warnings, what would stand in the way of a switch besides the certificate. */
  const warned = <Found extends { certificate: Certificate; checks: CheckResult[] }>(
    found: Found,
  ): Found => {
    const more = options.guard?.check(found.certificate, { allowTlsaMissing: true }) ?? [];
    return { ...found, checks: [...found.checks, ...more] };
  };

  /** RotateCertificate and RollbackCertificate: a message per change, an error when nothing switched. */
  const switching = <Request>(
    begin: (
      request: Request,
      actor: string,
      onProgress: (rotation: Rotation) => void,
    ) => Promise<Rotation>,
    targetOf: (request: Request) => string,
  ): handleServerStreamingCall<Request, { rotation: Rotation | undefined }> => {
    return async (call: ServerWritableStream<Request, { rotation: Rotation | undefined }>) => {
      const action = actionOf(call.getPath());
      let actor = 'unknown';
      let rotation: Rotation;
      try {
        actor = callerOf(call, now()).uri;
        const tell = (changed: Rotation) => {
          // the switch goes on without its caller, and a caller that reads slowly misses the middle
          if (!call.cancelled && (!call.writableNeedDrain || changed.finishedAt)) {
            call.write({ rotation: changed });
          }
        };
        rotation = await begin(call.request, actor, tell);
      } catch (error) {
        const target = targetOf(call.request);
        audit.record({ actor, action, target, outcome: describeOutcome(error) });
        call.emit('error', toGrpcError(error, action, logger));
        return;
      }
      const target = `${rotation.toCertificateId} as generation ${rotation.toGeneration}`;
      audit.record({ actor, action, target, outcome: 'ok' });
      call.end();
    };
  };

  const costly = new WorkQueue(LIMITS.costlyCalls);

  return {
    importCertificate: changing(
      async (request, actor) => warned(await costly.run(() => certificates.import(request, actor))),
      ({ certificate }, request) => certificate?.id ?? request.label,
    ),
    createSigningRequest: changing(
      async (request, actor) => {
        const make = () => certificates.createSigningRequest(request, actor);
        const certificate = await costly.run(make);
        return { certificate, signingRequestPem: certificate.signingRequestPem };
      },
      ({ certificate }, request) => certificate?.id ?? request.label,
    ),
    completeSigningRequest: changing(
      async (request, actor) =>
        warned(await costly.run(() => certificates.completeSigningRequest(request, actor))),
      ({ certificate }, request) => certificate?.id ?? request.certificateId,
    ),
    createSelfSigned: changing(
      (request, actor) => costly.run(() => certificates.createSelfSigned(request, actor)),
      ({ certificate }, request) => certificate?.id ?? request.label,
    ),
    listCertificates: reading(() => ({ certificates: certificates.list() })),
    getCertificate: reading(({ certificateId }) => warned(certificates.get(certificateId))),
    deleteCertificate: changing(
      ({ certificateId }) => {
        certificates.delete(certificateId, rotations.certificateInUse);
        return {};
      },
      (_, request) => request.certificateId,
    ),
    previewRotation: reading(async ({ certificateId, options: wanted }) => {
      const preview = await rotations.preview(certificateId, readOptions(wanted));
      const { row: _, checks, ...rest } = preview;
      return { ...rest, checks: [...checks] };
    }),
    rotateCertificate: switching(
      (request, actor, tell) =>
        rotations.rotate(request.certificateId, readOptions(request.options), actor, tell),
      (request) => request.certificateId,
    ),
    rollbackCertificate: switching(
      (request: { options: Parameters<typeof readOptions>[0] }, actor, tell) => {
        const wanted: SwitchOptions = readOptions(request.options);
        return rotations.rollback(wanted, actor, tell);
      },
      () => 'the certificate before',
    ),
    getFleet: reading(() => ({ fleet: fleet() })),
    watchFleet: (call) => {
      try {
        feed.watch(call);
      } catch (error) {
        call.emit('error', toGrpcError(error, actionOf(call.getPath()), logger));
      }
    },
    listRotations: reading((request) => {
      const [limit, before] = readPage(request);
      return { rotations: rotations.list(limit, before) };
    }),
    getRequiredNames: reading(() => ({ names: requiredNames.get() })),
    setRequiredNames: changing(
      ({ names, force }) => {
        const active = certificates.active();
        const covered = { certificateId: active?.id ?? '', dnsNames: active?.dnsNames ?? [] };
        return { names: requiredNames.set(names, covered, rotations.certificateInUse, force) };
      },
      (_, request) => request.names.join(' '),
    ),
    listAuditEvents: reading((request) => {
      const [limit, before] = readPage(request);
      return { events: audit.list(limit, before) };
    }),
    listSources: reading(() => ({ sources: sources.list() })),
    runSource: async (call: ServerWritableStream<RunSourceRequest, RunSourceResponse>) => {
      const action = actionOf(call.getPath());
      const { name, force } = call.request;
      const record = (actor: string, outcome: string) =>
        audit.record({ actor, action, target: name, outcome });
      let actor = 'unknown';
      // a caller that reads slowly misses the middle
      let unsent: RunSourceResponse | undefined;
      try {
        actor = callerOf(call, now()).uri;
        await sources.run(name, { force }, (source, rotation) => {
          unsent = call.writableNeedDrain ? { source, rotation } : undefined;
          if (unsent === undefined && !call.cancelled) call.write({ source, rotation });
        });
      } catch (error) {
        record(actor, describeOutcome(error));
        call.emit('error', toGrpcError(error, action, logger));
        return;
      }
      record(actor, 'ok');
      if (unsent !== undefined && !call.cancelled) call.write(unsent);
      call.end();
    },
    listTlsaRecords: reading(() => ({ records: options.tlsaRecords() })),
  };
}

export function identityService(options: RegistryServiceOptions): IdentityServiceServer {
  const { identities } = options;
  const { changing } = unaryHandlers(options);
  return {
    renewIdentity: changing(
      async ({ signingRequestPem }, _, identity) => ({
        chainPem: await identities.sign(identity, signingRequestPem),
        caPem: identities.caPem,
      }),
      (_, __, identity) => identity.uri,
    ),
    issueIdentity: changing(
      async ({ identity, signingRequestPem }) => ({
        chainPem: await identities.sign(parseIdentity(identity), signingRequestPem),
        caPem: identities.caPem,
      }),
      (_, request) => request.identity,
    ),
  };
}

type Handle<Request, Response> = (
  request: Request,
  actor: string,
  identity: Identity,
) => Response | Promise<Response>;
type TargetOf<Request, Response> = (
  response: Partial<Response>,
  request: Request,
  identity: Identity,
) => string;

/** Handlers that answer errors as the contract says, and for `changing` write the audit trail. */
function unaryHandlers({ audit, logger, now }: RegistryServiceOptions) {
  const answer = async <Request, Response>(
    call: ServerUnaryCall<Request, Response>,
    callback: sendUnaryData<Response>,
    handle: (identity: Identity) => Response | Promise<Response>,
  ) => {
    try {
      callback(null, await handle(callerOf(call, now())));
    } catch (error) {
      callback(toGrpcError(error, actionOf(call.getPath()), logger));
    }
  };
  return {
    reading: <Request, Response>(
      handle: Handle<Request, Response>,
    ): handleUnaryCall<Request, Response> => {
      return (call, callback) =>
        void answer(call, callback, (identity) => handle(call.request, identity.uri, identity));
    },
    changing: <Request, Response>(
      handle: Handle<Request, Response>,
      targetOf: TargetOf<Request, Response>,
    ): handleUnaryCall<Request, Response> => {
      return (call, callback) =>
        void answer(call, callback, async (identity) => {
          const actor = identity.uri;
          const record = (response: Partial<Response>, outcome: string) => {
            const target = targetOf(response, call.request, identity);
            audit.record({ actor, action: actionOf(call.getPath()), target, outcome });
          };
          let response: Response;
          try {
            response = await handle(call.request, actor, identity);
          } catch (error) {
            record({}, describeOutcome(error));
            throw error;
          }
          record(response, 'ok');
          return response;
        });
    },
  };
}

type AnyCall = Pick<ServerUnaryCall<unknown, unknown>, 'getPath' | 'getAuthContext'>;

/** The connection may have gone since the role check; then there is nobody to answer either. */
function callerOf(call: AnyCall, now: number): Identity {
  return authorise(call.getPath(), identityOf(call.getAuthContext()), now);
}

/** "/mail.certs.v1.CertRegistryService/GetFleet" is "GetFleet". */
export function actionOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Throws RegistryError (invalid-argument). */
function readPage(page: { limit: number; beforeId: bigint }): [number, number | undefined] {
  if (page.limit > LIMITS.pageRows) {
    throw new RegistryError('invalid-argument', `limit is at most ${LIMITS.pageRows}`);
  }
  if (page.beforeId > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new RegistryError('invalid-argument', 'before_id is no id of this registry');
  }
  const beforeId = page.beforeId === 0n ? undefined : Number(page.beforeId);
  return [page.limit === 0 ? DEFAULTS.pageRows : page.limit, beforeId];
}
