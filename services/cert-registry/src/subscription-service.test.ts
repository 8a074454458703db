import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type Settings,
} from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { status } from '@grpc/grpc-js';
import {
  type CertRegistryServiceClient,
  CertSubscriptionServiceClient,
  CertSubscriptionServiceService,
  type Fleet,
  Hello,
  SubscribeRequest,
  SubscriberState,
} from '@mail/proto';
import { silentLogger } from '@mail/service';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Conductor } from './conductor.ts';
import { LIMITS } from './config.ts';
import { type SubscribeCall, SubscriptionService } from './subscription-service.ts';
import { call, TestRegistry, type TestSubscriberOptions } from './testing/registry-fixture.ts';

let registry: TestRegistry;
let operator: CertRegistryServiceClient;

beforeAll(async () => {
  registry = await TestRegistry.start({ REGISTRY_LEASE: '1h' });
  operator = registry.operator();
});
afterAll(() => registry.remove());

/** The fleet once it fits. */
function fleetWhen(fits: (fleet: Fleet) => boolean): Promise<Fleet> {
  return new Promise((resolve, reject) => {
    const watch = operator.watchFleet({});
    watch.on('data', ({ fleet }: { fleet: Fleet }) => {
      if (!fits(fleet)) return;
      resolve(fleet);
      watch.cancel();
    });
    watch.on('error', reject);
  });
}

const stateOf = (fleet: Fleet, instance: string) =>
  fleet.subscribers.find((subscriber) => subscriber.instance === instance)?.state;

test('is welcomed with the active material', async () => {
  const subscriber = registry.subscriber('imap', 'welcomed');
  const { material, leaseMs } = await subscriber.hear('welcome');
  expect(material).toMatchObject({ generation: 1n });
  expect(material?.privateKeyPem).toContain('PRIVATE KEY');
  expect(material?.ticketSeed).toHaveLength(32);
  expect(leaseMs).toBe(3_600_000);
  subscriber.stream.end();
  expect(await subscriber.over).toBeUndefined();
});

test('is forgotten when it says goodbye by ending its half', async () => {
  const subscriber = registry.subscriber('imap', 'leaver');
  await subscriber.hear('welcome');
  await fleetWhen((fleet) => stateOf(fleet, 'leaver') !== undefined);
  subscriber.stream.end();
  await fleetWhen((fleet) => stateOf(fleet, 'leaver') === undefined);
});

test('counts as lost when its stream is cancelled', async () => {
  const subscriber = registry.subscriber('imap', 'canceller');
  await subscriber.hear('welcome');
  subscriber.stream.cancel();
  expect((await subscriber.over)?.code).toBe(status.CANCELLED);
  await fleetWhen((fleet) => stateOf(fleet, 'canceller') === SubscriberState.SUBSCRIBER_STATE_LOST);
});

interface Bare {
  readonly tcp: Socket;
  readonly session: ClientHttp2Session;
  readonly stream: ClientHttp2Stream;
}

/** A message as it lies on an HTTP/2 stream of gRPC. */
function framed(message: SubscribeRequest['message']): Buffer {
  const encoded = SubscribeRequest.encode({ message }).finish();
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(encoded.length, 1);
  return Buffer.concat([frame, encoded]);
}

/** A Subscribe stream without gRPC's manners, as a process leaves it that is killed. */
async function bareSubscriber(instance: string, settings: Settings = {}): Promise<Bare> {
  const read = (part: string) =>
    readFileSync(join(registry.folder, 'identities/service/pop', `${part}.pem`));
  const tcp = connectTcp(Number(registry.address.split(':')[1]), '127.0.0.1');
  const identity = { ca: read('ca'), key: read('key'), cert: read('cert') };
  const session = connect(`https://${registry.address}`, {
    settings,
    createConnection: () =>
      connectTls({
        ...identity,
        socket: tcp,
        ALPNProtocols: ['h2'],
        checkServerIdentity: () => undefined,
      }),
  });
  session.on('error', () => {});
  const stream = session.request({
    ':method': 'POST',
    ':path': CertSubscriptionServiceService.subscribe.path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => {});
  stream.write(framed({ $case: 'hello', value: Hello.create({ service: 'pop', instance }) }));
  await once(stream, 'response');
  return { tcp, session, stream };
}

const endings: [string, (bare: Bare) => void][] = [
  ['its connection ends', ({ tcp }) => tcp.destroy()],
  ['its connection is reset', ({ tcp }) => tcp.resetAndDestroy()],
  ['its session ends at once', ({ session }) => session.destroy()],
];

/** A killed process must not look like one that said goodbye: a switch has to wait for its lease. */
test.each(endings)('counts as lost when %s', async (how, end) => {
  const instance = how.replaceAll(' ', '-');
  end(await bareSubscriber(instance));
  const lost = SubscriberState.SUBSCRIBER_STATE_LOST;
  await fleetWhen((fleet) => stateOf(fleet, instance) === lost);
});

const refusals: [
  string,
  TestSubscriberOptions & { service?: string; instance?: string },
  status,
][] = [
  ['as another service', { claim: 'smtp' }, status.PERMISSION_DENIED],
  ['as no service', { claim: '' }, status.PERMISSION_DENIED],
  ['under no instance', { instance: '' }, status.INVALID_ARGUMENT],
  ['under a long instance', { instance: 'x'.repeat(200) }, status.INVALID_ARGUMENT],
  ['under an instance with a line break', { instance: 'a\nb' }, status.INVALID_ARGUMENT],
];

test.each(refusals)('may not subscribe %s', async (_, options, code) => {
  const { instance = 'refused', ...rest } = options;
  const subscriber = registry.subscriber('imap', instance, rest);
  expect(await subscriber.over).toMatchObject({ code });
  expect(subscriber.heard).toEqual([]);
});

test('must say Hello first', async () => {
  const client = registry.client(CertSubscriptionServiceClient, 'service/imap');
  const stream = client.subscribe();
  const [error] = await Promise.all([
    new Promise((resolve) => stream.once('error', resolve)),
    stream.write({
      message: { $case: 'heartbeat', value: { sentAtNs: 1n, roundTripNs: 0n } },
    }),
  ]);
  expect(error).toMatchObject({ code: status.INVALID_ARGUMENT });
});

test('a message without content ends the stream', async () => {
  const subscriber = registry.subscriber('imap', 'silent');
  await subscriber.hear('welcome');
  subscriber.stream.write({ message: undefined });
  expect(await subscriber.over).toMatchObject({ code: status.INVALID_ARGUMENT });
});

test('a newer stream of an instance replaces the older', async () => {
  const older = registry.subscriber('imap', 'twice');
  await older.hear('welcome');
  const newer = registry.subscriber('imap', 'twice');
  await newer.hear('welcome');
  expect(await older.over).toMatchObject({ code: status.ABORTED });
  newer.stream.end();
});

test('a heartbeat is answered with the clock and the lease', async () => {
  const subscriber = registry.subscriber('imap', 'beating');
  const { registryTimeNs } = await subscriber.hear('welcome');
  subscriber.say('heartbeat', { sentAtNs: 42n, roundTripNs: 1_500_000n });
  const ack = await subscriber.hear('heartbeatAck');
  expect(ack).toMatchObject({ sentAtNs: 42n, leaseMs: 3_600_000 });
  expect(ack.registryTimeNs).toBeGreaterThan(registryTimeNs);
  const { fleet } = await call(operator, operator.getFleet, {});
  const seen = fleet?.subscribers.find(({ instance }) => instance === 'beating');
  expect(seen?.roundTripMs).toBe(1.5);
  subscriber.stream.end();
});

test('one that talks at length is heard in part', async () => {
  const subscriber = registry.subscriber('imap', 'wordy', { generation: 1n });
  await subscriber.hear('welcome');
  const text = 'x'.repeat(300_000);
  const ports = [{ listener: text, fingerprintSha256: text, error: text }];
  subscriber.say('verified', { generation: 1n, ports });
  const portsOf = (fleet: Fleet) =>
    fleet.subscribers.find(({ instance }) => instance === 'wordy')?.ports ?? [];
  const [port] = portsOf(await fleetWhen((fleet) => portsOf(fleet).length > 0));
  expect(port?.listener).toHaveLength(LIMITS.listenerBytes);
  expect(port?.error).toHaveLength(LIMITS.portErrorBytes);
  subscriber.stream.end();
});

test('one that does not read is cut off', async () => {
  const { session, stream } = await bareSubscriber('deaf', { initialWindowSize: 0 });
  const heartbeat = framed({
    $case: 'heartbeat',
    value: { sentAtNs: 1n, roundTripNs: 0n },
  });
  const cut = once(session, 'close');
  for (let sent = 0; sent <= LIMITS.unreadMessages; sent += 1) stream.write(heartbeat);
  await cut;
  await fleetWhen((fleet) => stateOf(fleet, 'deaf') === SubscriberState.SUBSCRIBER_STATE_LOST);
});

test('ends when the identity that opened it does', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  let now = Date.UTC(2030, 0, 1);
  const lost: boolean[] = [];
  const conductor = {
    connected: 0,
    connect: () => 1,
    lose: (_: number, goodbye: boolean) => lost.push(goodbye),
  } as unknown as Conductor;
  const peer = {
    subjectaltname: 'URI:spiffe://concert/service/imap',
    valid_to: 'Jan  1 02:00:00 2030 GMT',
  };
  const stream = Object.assign(new EventEmitter(), {
    getAuthContext: () => ({ sslPeerCertificate: peer }),
  });
  const service = new SubscriptionService({
    conductor,
    logger: silentLogger(),
    cutConnection: () => {},
    now: () => now,
  });
  service.implementation.subscribe(stream as unknown as SubscribeCall);
  const hello = Hello.create({ service: 'imap', instance: 'a' });
  stream.emit('data', { message: { $case: 'hello', value: hello } });
  const ended = once(stream, 'error').catch((error) => error);
  const pass = (ms: number) => {
    now += ms;
    vi.advanceTimersByTime(ms);
  };
  pass(3_600_000);
  pass(3_599_999);
  expect(lost).toEqual([]);
  pass(1);
  vi.useRealTimers();
  expect(lost).toEqual([false]);
  expect(await ended).toMatchObject([
    { code: status.UNAUTHENTICATED, details: expect.stringContaining('service/imap expired') },
  ]);
});
