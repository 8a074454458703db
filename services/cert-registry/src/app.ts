/** The registry, built and taken apart: database, vault, identities, certificates, coordinator, gRPC. */
import { randomUUID, X509Certificate } from 'node:crypto';
import { type App, type ServiceContext, ServiceError } from '@mail/service';
import { AuditTrail } from './audit.ts';
import { Certificates } from './certificates.ts';
import { Conductor, type SwitchStep } from './conductor.ts';
import { IDENTITY, readConfig } from './config.ts';
import type { RestoredState } from './coordinator.ts';
import { openDane } from './dane/open-dane.ts';
import { RegistryDatabase } from './database.ts';
import { describeOutcome } from './errors.ts';
import { describeFleet, FleetFeed } from './fleet-feed.ts';
import { GrpcServer } from './grpc-server.ts';
import { Identities, isDueForRenewal } from './identities.ts';
import { isSealed, type KeyVault, loadVaultKey, openVault } from './key-vault.ts';
import { Notifier } from './notify/notifier.ts';
import { exposeRegistry } from './registry-metrics.ts';
import {
  actionOf,
  identityDefinition,
  identityService,
  registryDefinition,
  registryService,
} from './registry-service.ts';
import { RequiredNames } from './required-names.ts';
import { REGISTRY_IDENTITY } from './roles.ts';
import { DRAIN_SETTING, Rotations, seedRecord } from './rotations.ts';
import { openSources } from './sources/open-sources.ts';
import { SteadyRoster } from './steady-roster.ts';
import { StoredValues } from './stored-values.ts';
import { SubscriptionService, subscriptionDefinition } from './subscription-service.ts';
import { TicketSeed } from './ticket-seed.ts';
import { fleetWarnings, goneWarnings, sourceWarnings, type Warning } from './warnings.ts';

export interface RegistryApp extends App {
  /** Where it listens, once `run` has resolved. */
  readonly port: number;
}

/** For tests of whole systems. */
export interface RegistryHooks {
  /** Told synchronously of each moment of a switch; a test ends the process there. */
  readonly onStep?: (step: SwitchStep) => void;
}

/** Builds everything but the listener, the first start's material included. Throws ServiceError. */
export async function buildApp(
  { settings, logger, metrics, health }: ServiceContext,
  hooks: RegistryHooks = {},
): Promise<RegistryApp> {
  const config = readConfig(settings);
  const now = Date.now;
  const monotonicNow = process.hrtime.bigint;
  const failure = Promise.withResolvers<never>();
  const dead = failure.promise.catch(() => {});

  const database = RegistryDatabase.open(config);
  try {
    const vaultKey = loadVaultKey(config.vaultKey, config.vaultKeyFile, !isSealed(database));
    const vault = openVault(vaultKey, database);
    logger.info(
      { source: vaultKey.source },
      vaultKey.made
        ? 'made a key for the vault: keep a copy where the database is not'
        : 'opened the vault',
    );

    const identities = await Identities.open({ database, vault, days: config.identityDays, now });
    await identities.provide(config.identitiesFolder, config.identities, logger);

    const requiredNames = new RequiredNames(database);
    const certificates = new Certificates({ database, vault, requiredNames, now });
    const audit = new AuditTrail(database, now, logger);
    const storedValues = new StoredValues(database, logger);
    const dane = openDane(config.dane, {
      storedValues,
      certificates,
      sources: () => sources.list(),
      logger,
      now,
      onFatal: failure.reject,
    });
    const rotations: Rotations = new Rotations({
      database,
      vault,
      certificates,
      guard: dane,
      conductor: () => conductor,
      logger,
      metrics,
      now,
      monotonicNow,
    });
    const ticketSeed = new TicketSeed({
      database,
      rotations,
      audit,
      logger,
      maxAgeMs: config.ticketSeedAgeMs,
      now,
      onFatal: failure.reject,
    });
    rotations.closeLeftOpen();
    if (database.activeGeneration() === undefined) {
      requiredNames.begin(config.names);
      const { certificate } = await certificates.createSelfSigned(
        { dnsNames: [], keyType: 0, days: 0, label: 'made at the first start' },
        REGISTRY_IDENTITY.uri,
      );
      rotations.begin(certificates.find(certificate.id));
    } else if (config.namesAreSet && config.names.join() !== requiredNames.get().join()) {
      logger.warn(
        { required: requiredNames.get(), setting: config.names },
        'CONCERT_REGISTRY_NAMES counts at the first start only; change the required names by "concert names set"',
      );
    }

    let identity = await identities.issueOwn(config.hosts);
    const feed = new FleetFeed(() => fleet());
    const roster = new SteadyRoster(
      {
        remember: (subscriber) => database.rememberSubscriber(subscriber),
        forget: ({ service, instance }) => database.forgetSubscriber(service, instance),
      },
      logger,
    );
    const conductor: Conductor = new Conductor(
      {
        clockId: randomUUID(),
        leaseMs: config.leaseMs,
        heartbeatIntervalMs: config.heartbeatMs,
        prepareTimeoutMs: config.prepareTimeoutMs,
        roster,
        logger,
        now: monotonicNow,
        onStep: hooks.onStep,
        onFleetChange: () => feed.changed(),
        onFatal: failure.reject,
      },
      restore(database, vault, certificates),
    );
    exposeRegistry(metrics, {
      fleet: () => conductor.fleet,
      generation: () => conductor.active.generation,
      rotationRunning: () => rotations.certificateInUse !== undefined,
      certificates: () => database.countCertificates(),
      identityCert: () => identity.cert,
    });
    const fleet = () =>
      describeFleet({
        generation: conductor.active.generation,
        activeCertificate: certificates.active(),
        subscribers: conductor.fleet,
        rotation: rotations.current,
        warnings: [...otherWarnings(), ...notifier.warnings],
        now: monotonicNow(),
        wallNow: now(),
      });

    const subscriptions = new SubscriptionService({
      conductor,
      logger,
      cutConnection: (peer) => server.cutConnection(peer),
      now,
    });
    const sources = openSources(config.sources, config.acme, {
      database,
      storedValues,
      vault,
      certificates,
      rotations,
      requiredNames,
      audit,
      logger,
      metrics,
      now,
      onFatal: failure.reject,
    });
    const otherWarnings = (): Warning[] => [
      ...goneWarnings(conductor.gone),
      ...sourceWarnings(sources.list()),
      ...(dane?.warnings() ?? []),
    ];
    const notifier = new Notifier({
      channels: config.notify.channels(),
      warnings: () => {
        const { activeCertificate, subscribers } = fleet();
        return [
          ...fleetWarnings(activeCertificate, subscribers, now()),
          ...otherWarnings(),
          ...notifier.warnings,
        ];
      },
      memory: {
        read: (name) => database.setting(name),
        write: (name, value) => database.setSetting(name, value),
      },
      rules: config.notify.rules,
      logger,
      now,
    });
    const parts = {
      certificates,
      sources,
      tlsaRecords: () => dane?.records() ?? [],
      guard: dane,
      rotations,
      requiredNames,
      identities,
      audit,
      fleet,
      feed,
      logger,
      now,
    };
    const server: GrpcServer = new GrpcServer({
      identity,
      services: [
        { definition: registryDefinition, implementation: registryService(parts) },
        { definition: identityDefinition, implementation: identityService(parts) },
        { definition: subscriptionDefinition, implementation: subscriptions.implementation },
      ],
      logger,
      metrics,
      now,
      onDenied: (path, caller, error) =>
        audit.recordDenial({
          actor: caller?.uri ?? 'unknown',
          action: actionOf(path),
          target: '',
          outcome: describeOutcome(error),
        }),
    });

    const renewOwnIdentity = async () => {
      if (!isDueForRenewal(new X509Certificate(identity.cert), now())) return;
      identity = await identities.issueOwn(config.hosts);
      server.replaceIdentity(identity);
      logger.info('renewed the registry’s own identity');
    };
    let renewal: NodeJS.Timeout | undefined;
    let port = 0;
    health.set('registry', 'starting');

    return {
      failed: failure.promise,
      get port() {
        return port;
      },
      run: async () => {
        port = await server.listen(config.listen);
        const { generation, certificateId } = conductor.active;
        const address = `${config.listen.host}:${port}`;
        logger.info({ address, generation, certificateId }, 'listening');
        const actor = REGISTRY_IDENTITY.uri;
        const target = `generation ${generation}`;
        audit.record({ actor, action: 'start', target, outcome: 'ok' });
        rotations.showActive();
        ticketSeed.start();
        dane?.start();
        sources.start();
        notifier.start();
        renewal = setInterval(() => {
          renewOwnIdentity().catch(failure.reject);
        }, IDENTITY.checkMs);
        server.setServing(true);
        health.set('registry', undefined);
      },
      close: async (graceMs) => {
        health.set('registry', 'stopping');
        clearInterval(renewal);
        const deadline = performance.now() + graceMs;
        ticketSeed.stop();
        notifier.stop();
        await before(deadline, sources.stop());
        await dane?.stop();
        // a dead conductor never ends the rotation that it was in
        await before(deadline, Promise.race([rotations.stop(), dead]));
        conductor.stop();
        roster.stop();
        storedValues.stop();
        rotations.abandon();
        subscriptions.stop();
        feed.stop();
        await server.close(Math.max(0, deadline - performance.now()));
        database.close();
      },
    };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** What the disk says is in force. Throws ServiceError (database-corrupt), VaultError. */
function restore(
  database: RegistryDatabase,
  vault: KeyVault,
  certificates: Certificates,
): RestoredState {
  const generation = database.activeGeneration();
  const row = generation && database.certificate(generation.certificateId);
  if (generation === undefined || row === undefined || generation.sealedSeed === null) {
    throw new ServiceError(
      'database-corrupt',
      'the database names an active certificate that it does not hold; restore it from a backup',
    );
  }
  const { number, sealedSeed } = generation;
  const drain = database.setting(DRAIN_SETTING);
  return {
    active: {
      ...certificates.material(row),
      generation: BigInt(number),
      ticketSeed: vault.open(seedRecord(number), sealedSeed),
    },
    known: database.subscribers(),
    drain: drain === undefined ? undefined : readDrain(drain),
  };
}

function readDrain(text: string): RestoredState['drain'] {
  const { belowGeneration, graceMs } = JSON.parse(text);
  return { belowGeneration: BigInt(belowGeneration), graceMs: Number(graceMs) };
}

/** Resolves with the work or at the deadline, whichever comes first; never rejects. */
async function before(deadline: number, work: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.max(0, deadline - performance.now()));
  await Promise.race([work.catch(() => {}), late]);
  clearTimeout(timer);
}
