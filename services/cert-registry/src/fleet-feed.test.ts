import { EventEmitter, once } from 'node:events';
import {
  Certificate,
  type CertRegistryServiceClient,
  Fleet,
  PartitionPolicy,
  type PortObservation,
  Rotation,
  SubscriberOutcome,
  SubscriberState,
  WatchFleetResponse,
} from '@mail/proto';
import { afterEach, describe, expect, test } from 'vitest';
import { LIMITS } from './config.ts';
import type { SubscriberName, SubscriberView } from './coordinator.ts';
import { describeFleet, FleetFeed, type WatchCall } from './fleet-feed.ts';
import { TestRegistry } from './testing/registry-fixture.ts';

const view = (changes: Partial<SubscriberView>): SubscriberView => ({
  service: 'imap',
  instance: 'a',
  connected: true,
  generation: 3n,
  fingerprintSha256: '',
  version: '1',
  partitionPolicy: PartitionPolicy.PARTITION_POLICY_SERVE,
  connectedAt: 1_000_000_000n,
  activeSince: 1_500_000_000n,
  leaseUntil: 32_000_000_000n,
  roundTripNs: 250_000n,
  ports: [],
  ...changes,
});

const source = (subscribers: SubscriberView[]) => ({
  generation: 3n,
  activeCertificate: undefined,
  subscribers,
  rotation: undefined,
  warnings: [],
  now: 2_000_000_000n,
  wallNow: Date.UTC(2030, 0, 1),
});

describe('a snapshot', () => {
  test('has instants of the monotonic clock on the wall clock', () => {
    const { subscribers } = describeFleet(source([view({})]));
    expect(subscribers).toMatchObject([
      {
        state: SubscriberState.SUBSCRIBER_STATE_CONNECTED,
        connectedAt: new Date(Date.UTC(2030, 0, 1) - 1000),
        activeSince: new Date(Date.UTC(2030, 0, 1) - 500),
        leaseRemainingMs: 30_000,
        roundTripMs: 0.25,
        lagging: false,
      },
    ]);
  });

  test('names those who lag, some of many', () => {
    const behind = Array.from({ length: 7 }, (_, n) => view({ instance: `i${n}`, generation: 2n }));
    const { warnings, subscribers } = describeFleet(source([view({}), ...behind]));
    expect(subscribers.filter(({ lagging }) => lagging)).toHaveLength(7);
    expect(warnings).toEqual([
      'not on the active generation: imap i0, imap i1, imap i2, imap i3, imap i4 and 2 more',
    ]);
  });

  const lives: [string, number, number, RegExp | undefined][] = [
    ['a fresh one of six days', -0.1, 5.9, undefined],
    ['one of six days with a day left', -5, 1, /expires in 1 day, on 2030-01-02/],
    ['one of ninety days with a month left', -60, 30, undefined],
    ['one of ninety days with ten left', -80, 10, /expires in 10 days/],
    ['one whose end is past', -90, -1, /has expired: rotate now/],
  ];
  test.each(lives)('warns of the end of the certificate in time: %s', (_, begin, end, warning) => {
    const { wallNow } = source([]);
    const inDays = (days: number) => new Date(wallNow + days * 86_400_000);
    const activeCertificate = Certificate.create({
      id: 'abcd',
      notBefore: inDays(begin),
      notAfter: inDays(end),
    });
    const { warnings } = describeFleet({ ...source([]), activeCertificate });
    expect(warnings).toEqual(warning === undefined ? [] : [expect.stringMatching(warning)]);
  });

  test('has no lease left over and no time for what was never served', () => {
    const lost = view({ connected: false, leaseUntil: 0n, generation: 0n, connectedAt: undefined });
    expect(describeFleet(source([lost])).subscribers).toMatchObject([
      {
        state: SubscriberState.SUBSCRIBER_STATE_LOST,
        leaseRemainingMs: 0,
        activeSince: undefined,
        connectedAt: undefined,
      },
    ]);
  });
});

describe('a fleet at its limit', () => {
  const fingerprintSha256 = 'f'.repeat(LIMITS.fingerprintBytes);
  /** One subscriber's share of a snapshot during a rotation, which lists it once more. */
  const shareOf = (name: SubscriberName, ports: PortObservation[], why: object = {}) => {
    const one = view({ ...name, fingerprintSha256, version: '1.2.3', ports });
    const outcome = SubscriberOutcome.create({ ...name, ...why, swapOffsetMs: 0.5, ports });
    const rotation = Rotation.create({ outcomes: [outcome] });
    const fleet = describeFleet({ ...source([one]), rotation });
    return WatchFleetResponse.encode({ fleet }).finish().length;
  };

  test('can be told whatever its subscribers say', () => {
    const name = { service: 's'.repeat(64), instance: 'i'.repeat(LIMITS.instanceLength) };
    const said = {
      listener: 'l'.repeat(LIMITS.listenerBytes),
      fingerprintSha256,
      error: 'e'.repeat(LIMITS.portErrorBytes),
    };
    const ports = Array.from({ length: LIMITS.observedPorts + 1 }, () => said);
    const why = { code: 'c'.repeat(LIMITS.codeBytes), detail: 'd'.repeat(LIMITS.detailBytes) };
    expect(shareOf(name, ports, why) * LIMITS.subscribers).toBeLessThan(LIMITS.sendBytes);
  });

  test('with three ports each is told to any gRPC client', () => {
    const name = { service: 'smtp', instance: 'mail-17.example.org-12345-1' };
    const port = { listener: 'submissions [::]:465', fingerprintSha256, error: '' };
    const share = shareOf(name, [port, port, port]);
    expect(share * LIMITS.subscribers).toBeLessThan(4 * 1024 * 1024);
  });
});

/** A watcher's call whose peer reads only when told. */
class SlowCall extends EventEmitter {
  readonly written: bigint[] = [];
  #sent: (() => void) | undefined;

  write(encoded: Buffer, sent: () => void): boolean {
    this.written.push(WatchFleetResponse.decode(encoded).fleet?.generation ?? 0n);
    this.#sent = sent;
    this.emit('written');
    return true;
  }

  read(): void {
    this.#sent?.();
  }

  end(): void {
    this.emit('close');
  }
}

const asCall = (call: SlowCall) => call as unknown as WatchCall;

describe('the feed', () => {
  test('gives a slow watcher the newest when it reads, and nothing in between', async () => {
    let generation = 1n;
    const feed = new FleetFeed(() => Fleet.create({ generation }));
    const [slow, quick] = [new SlowCall(), new SlowCall()];
    quick.on('written', () => queueMicrotask(() => quick.read()));
    feed.watch(asCall(slow));
    feed.watch(asCall(quick));
    for (generation = 2n; generation <= 4n; generation += 1n) {
      const told = once(quick, 'written');
      feed.changed();
      feed.changed();
      await told;
    }
    generation = 9n;
    expect(quick.written).toEqual([1n, 2n, 3n, 4n]);
    expect(slow.written).toEqual([1n]);
    slow.read();
    expect(slow.written).toEqual([1n, 9n]);
    slow.read();
    expect(slow.written).toEqual([1n, 9n]);
    feed.stop();
  });

  test('forgets a watcher that has gone', async () => {
    let snapshots = 0;
    const feed = new FleetFeed(() => {
      snapshots += 1;
      return Fleet.create({});
    });
    const call = new SlowCall();
    feed.watch(asCall(call));
    call.emit('cancelled');
    feed.changed();
    call.read();
    expect(snapshots).toBe(1);
    feed.stop();
  });

  test('takes so many watchers and no more', () => {
    const feed = new FleetFeed(() => Fleet.create({}));
    const watch = () => feed.watch(asCall(new SlowCall()));
    for (let watchers = 0; watchers < 64; watchers += 1) watch();
    expect(watch).toThrow(expect.objectContaining({ code: 'exhausted' }));
    feed.stop();
  });
});

describe('WatchFleet', () => {
  let registry: TestRegistry;
  afterEach(() => registry.remove());

  test('tells the fleet now and after each change', async () => {
    registry = await TestRegistry.start();
    const operator: CertRegistryServiceClient = registry.operator();
    const watch = operator.watchFleet({});
    const [first] = await once(watch, 'data');
    expect(first.fleet).toMatchObject({ generation: 1n, subscribers: [] });
    registry.subscriber('imap', 'a');
    const [second] = await once(watch, 'data');
    expect(second.fleet.subscribers).toMatchObject([{ service: 'imap', instance: 'a' }]);
    watch.on('error', () => {});
    watch.cancel();
  });
});
