/**
 * The life of a process: settings, logger, the app, signals, exit code. `main.ts` of each service is
 * one call of `runService`. With more than one worker the first process forks them and keeps their
 * number; each worker is a whole app on the same ports.
 */
import cluster, { type Worker } from 'node:cluster';
import { setTimeout as pause } from 'node:timers/promises';
import { openAdminListener } from './admin-listener.ts';
import {
  type CommonSettings,
  commonSettings,
  parseSettings,
  readSettings,
  type Settings,
} from './config.ts';
import { ServiceError } from './errors.ts';
import { Health, type UnmetConditions } from './health.ts';
import { createLogger, type Logger } from './logger.ts';
import { METRICS } from './metric-names.ts';
import { clusterExposition, type Exposition, Metrics } from './metrics.ts';
import { VERSION } from './version.ts';

/** What an app is built from. */
export interface ServiceContext {
  readonly service: string;
  /** Unique among the processes of this service: replica, and worker where there are several. */
  readonly instance: string;
  readonly settings: Settings;
  readonly common: CommonSettings;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
  /** Whether this process shares its ports with sibling workers. */
  readonly clustered: boolean;
}

/** What `app.ts` builds. */
export interface App {
  /** Opens the listeners, then resolves: the app is in service. Throws ServiceError. */
  run(): Promise<void>;
  /** Stops accepting, announces, drains until `deadline` (ms), closes everything. Never throws. */
  close(graceMs: number): Promise<void>;
  /** Rejects when a part of the app dies; never resolves otherwise. */
  readonly failed?: Promise<never>;
}

/** Exit codes as sysexits.h names them: EX_UNAVAILABLE for what an operator must mend. */
const EXIT_UNAVAILABLE = 69;
const EXIT_SOFTWARE = 70;
/** A worker that dies is replaced after this long, doubled up to the second figure while it goes on. */
const RESPAWN_MS = { least: 100, most: 10_000 };
/** A worker that lived this long is taken to have started well. */
const SETTLED_MS = 30_000;

/** What a process tells the one that forked it, where there is an IPC channel. */
export type SupervisorMessage = { type: 'ready' } | { type: 'failed'; message: string };

/** What a worker tells the first process besides. */
type WorkerMessage =
  | SupervisorMessage
  | { type: 'started' }
  | { type: 'health'; unmet: UnmetConditions };

/** To whoever forked this process: the supervisor, or for a worker the first process. */
function tellParent(message: WorkerMessage): Promise<void> {
  const send = process.send?.bind(process);
  if (send === undefined || !process.connected) return Promise.resolve();
  return new Promise((resolve) => send(message, undefined, undefined, () => resolve()));
}

function signalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => resolve(signal));
    // a supervisor that vanished has left nobody to stop us
    if (process.send && !cluster.isWorker) process.once('disconnect', () => resolve('SIGTERM'));
  });
}

async function runApp(
  context: ServiceContext,
  build: (context: ServiceContext) => Promise<App>,
): Promise<void> {
  const { logger, common, metrics, health } = context;
  const stop = signalled();
  metrics.gauge(METRICS.buildInfo).set({ component: context.service, version: VERSION }, 1);
  metrics.gauge(METRICS.processes).set(1);
  logReadiness(health, logger, stop);
  let closeAdmin = async (): Promise<void> => {};
  if (cluster.isWorker) {
    // the first process answers for all workers
    metrics.shareWithCluster();
    health.observe(() => void tellParent({ type: 'health', unmet: health.unmet }));
  } else {
    showReadiness(health, metrics);
    closeAdmin = await openAdmin(common, health, metrics);
  }
  const app = await build(context);
  health.noteStarted();
  if (cluster.isWorker) await tellParent({ type: 'started' });
  const never = new Promise<never>(() => {});
  try {
    const started = await Promise.race([
      app.run().then(() => true),
      stop.then(() => false),
      app.failed ?? never,
    ]);
    if (started) {
      logger.info('in service');
      await tellParent({ type: 'ready' });
      const signal = await Promise.race([stop, app.failed ?? never]);
      logger.info({ signal }, 'stopping');
      // workers are told by the first process, which has waited
      if (!cluster.isWorker) await Promise.race([leaveSlowly(common, health), app.failed ?? never]);
    }
  } finally {
    await app.close(common.CONCERT_SHUTDOWN_GRACE);
    await closeAdmin();
  }
  logger.info('stopped');
}

/** Not ready from now on, and still in service for a while: probes come at intervals. */
async function leaveSlowly(common: CommonSettings, health: Health): Promise<void> {
  health.set('process', 'stopping');
  if (common.CONCERT_SHUTDOWN_DELAY > 0) await pause(common.CONCERT_SHUTDOWN_DELAY);
}

function showReadiness(health: Health, metrics: Metrics): void {
  metrics.gaugeAtScrape(METRICS.ready, (gauge) => gauge.set(health.ready ? 1 : 0));
}

/** Tells when the process becomes ready and when it no longer is; not at its end, which is meant. */
function logReadiness(health: Health, logger: Logger, ending: Promise<unknown>): void {
  let wasReady = false;
  let ends = false;
  void ending.then(() => {
    ends = true;
  });
  health.observe(() => {
    const { ready, unmet } = health;
    if (ready === wasReady || ends) return;
    wasReady = ready;
    if (ready) logger.info('ready');
    else logger.warn({ unmet }, 'not ready');
  });
}

/** Opens the admin listener where one is configured; returns how to close it. */
async function openAdmin(
  common: CommonSettings,
  health: Health,
  metrics: Exposition,
): Promise<() => Promise<void>> {
  if (common.CONCERT_ADMIN_LISTEN === '') return async () => {};
  const server = await openAdminListener(common.CONCERT_ADMIN_LISTEN, health, metrics);
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
}

/** Forks the workers, replaces those that die, and ends them with itself. */
async function runWorkers(count: number, common: CommonSettings, logger: Logger): Promise<void> {
  let stopping = false;
  let inService = false;
  let respawnMs = RESPAWN_MS.least;
  const started = new Set<number>();
  const ready = new Set<number>();
  const gone = new Map<Worker, () => void>();
  /** All workers' conditions: the service is ready when every one of them is. */
  const health = new Health();
  const unmetOf = new Map<number, UnmetConditions>();
  const takeHealth = (slot: number, unmet: UnmetConditions): void => {
    for (const condition of Object.keys({ ...unmetOf.get(slot), ...unmet })) {
      health.set(`worker ${slot} ${condition}`, unmet[condition]);
    }
    unmetOf.set(slot, unmet);
  };
  const metrics = new Metrics();
  const deaths = metrics.counter(METRICS.workerDeaths);
  showReadiness(health, metrics);
  const closeAdmin = await openAdmin(common, health, clusterExposition(metrics));
  const failure = Promise.withResolvers<never>();
  const fork = (slot: number): void => {
    // the slot, not the process, names a worker: its successor is the same subscriber to the registry
    const worker = cluster.fork({ CONCERT_WORKER_SLOT: String(slot) });
    const bornAt = performance.now();
    let failed = '';
    gone.set(worker, () => {});
    takeHealth(slot, { process: 'starting' });
    worker.on('message', (message: WorkerMessage) => {
      if (message.type === 'failed') failed = message.message;
      if (message.type === 'health') takeHealth(slot, message.unmet);
      if (message.type === 'started') {
        started.add(slot);
        if (started.size === count) health.noteStarted();
      }
      if (message.type !== 'ready') return;
      health.set(`worker ${slot} process`, undefined);
      ready.add(worker.id);
      if (ready.size < count || inService) return;
      inService = true;
      void tellParent({ type: 'ready' });
    });
    worker.once('exit', (code, signal) => {
      gone.get(worker)?.();
      gone.delete(worker);
      const wasReady = ready.delete(worker.id);
      if (stopping) return;
      // what keeps a first worker from starting would keep all of them: a port in use, a bad setting
      if (!inService && !wasReady && failed !== '') {
        failure.reject(new ServiceError('start-failed', failed));
        return;
      }
      if (performance.now() - bornAt > SETTLED_MS) respawnMs = RESPAWN_MS.least;
      deaths.inc();
      logger.error(
        { worker: worker.id, code, signal, respawnMs },
        'a worker died; starting another',
      );
      setTimeout(() => stopping || fork(slot), respawnMs);
      respawnMs = Math.min(respawnMs * 2, RESPAWN_MS.most);
    });
  };
  // The workers accept for themselves. By its default Node accepts here and hands each connection on, and
  // one handed to a worker that has just died is kept open and never answered (round_robin_handle.js waits
  // for a reply that cannot come). So what the dead one had not accepted is for the others to accept.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  for (let slot = 1; slot <= count; slot += 1) fork(slot);
  try {
    await Promise.race([signalled(), failure.promise]);
    await Promise.race([leaveSlowly(common, health), failure.promise]);
  } finally {
    stopping = true;
    const ended = [...gone.keys()].map(
      (worker) => new Promise<void>((resolve) => gone.set(worker, resolve)),
    );
    for (const worker of gone.keys()) worker.process.kill('SIGTERM');
    await Promise.all(ended);
    await closeAdmin();
  }
}

/**
 * Runs a service until it is told to stop, and sets the exit code. `protocolWorkers` false keeps it to
 * one process whatever CONCERT_WORKERS says (the registry is one).
 */
export async function runService(
  service: string,
  build: (context: ServiceContext) => Promise<App>,
  options: { protocolWorkers: boolean } = { protocolWorkers: true },
): Promise<void> {
  let logger = createLogger({ service, instance: '-', level: 'info' });
  try {
    const settings = readSettings();
    const common = parseSettings(commonSettings, settings);
    const workers = options.protocolWorkers ? common.CONCERT_WORKERS : 1;
    const clustered = workers > 1;
    const worker = cluster.isWorker ? Number(settings['CONCERT_WORKER_SLOT']) : undefined;
    const instance =
      worker === undefined ? common.CONCERT_INSTANCE : `${common.CONCERT_INSTANCE}-w${worker}`;
    const metrics = new Metrics({ processMetrics: true });
    const troubles = metrics.counter(METRICS.logLines);
    for (const level of ['warn', 'error', 'fatal']) troubles.inc({ level }, 0);
    logger = createLogger({
      service,
      instance,
      worker,
      level: common.CONCERT_LOG_LEVEL,
      onTrouble: (level) => troubles.inc({ level }),
    });
    if (clustered && cluster.isPrimary) {
      await runWorkers(workers, common, logger);
    } else {
      await runApp(
        { service, instance, settings, common, logger, metrics, health: new Health(), clustered },
        build,
      );
    }
    process.exitCode = 0;
  } catch (error) {
    const expected = error instanceof ServiceError;
    const message = expected
      ? error.message
      : `unexpected: ${error instanceof Error ? error.message : String(error)}`;
    logger.fatal({ error }, message);
    await tellParent({ type: 'failed', message });
    process.exitCode = expected ? EXIT_UNAVAILABLE : EXIT_SOFTWARE;
  }
  // an IPC channel, or a handle that a library forgot, must not keep a finished process
  if (process.connected) process.disconnect?.();
  setTimeout(() => process.exit(), 1_000).unref();
}
