import { type Material, PartitionPolicy } from '@mail/proto';
import { describe, expect, test } from 'vitest';
import { ClockEstimate } from './clock-estimate.ts';
import {
  type FromRegistry,
  Subscriber,
  type SubscriberAction,
  type SubscriberEvent,
  type SubscriberOptions,
} from './subscriber.ts';

const MS = 1_000_000n;
/** The registry's clock minus the subscriber's. */
const OFFSET = 5_000n * MS;

function materialOf(generation: bigint, label = `certificate-${generation}`): Material {
  return {
    generation,
    certificateId: label,
    chainPem: label,
    privateKeyPem: '',
    ticketSeed: Buffer.from(label),
    fingerprintSha256: label,
  };
}

type WithoutNow<Event> = Event extends { now: bigint } ? Omit<Event, 'now'> : never;

/** A subscriber with a hand on its clock. Instants of these tests are its own, in milliseconds. */
class Bench {
  readonly machine: Subscriber;
  now = 0n;
  last: SubscriberAction[] = [];

  constructor(options: Partial<SubscriberOptions> = {}) {
    this.machine = new Subscriber({
      service: 'imap',
      instance: 'a',
      version: '1',
      partitionPolicy: PartitionPolicy.PARTITION_POLICY_SERVE,
      burst: 1,
      ...options,
    });
    this.feed({ kind: 'started' });
  }

  feed(event: WithoutNow<SubscriberEvent>): SubscriberAction[] {
    this.last = this.machine.handle({ ...event, now: this.now } as SubscriberEvent);
    return this.last;
  }

  at(ms: number): this {
    this.now = BigInt(ms) * MS;
    return this;
  }

  hear(message: FromRegistry): SubscriberAction[] {
    return this.feed({ kind: 'message', message });
  }

  welcome(
    material: Material,
    activateAtMs = 0,
    clockId = 'first',
    heartbeatIntervalMs = 250,
  ): SubscriberAction[] {
    const value = {
      clockId,
      registryTimeNs: this.now + OFFSET,
      leaseMs: 1_000,
      heartbeatIntervalMs,
      preparedLeaseMs: 100,
      material,
      activateAtNs: BigInt(activateAtMs) * MS + OFFSET,
    };
    return this.hear({ $case: 'welcome', value });
  }

  ack(sentAtMs: number): SubscriberAction[] {
    const registryTimeNs = this.now + OFFSET;
    const value = { sentAtNs: BigInt(sentAtMs) * MS, registryTimeNs, leaseMs: 1_000 };
    return this.hear({ $case: 'heartbeatAck', value });
  }

  prepare(material: Material, nonce = 'n'): SubscriberAction[] {
    return this.hear({ $case: 'prepare', value: { material, nonce, timeoutMs: 500 } });
  }

  activate(generation: bigint, atMs: number, nonce = 'n'): SubscriberAction[] {
    const atNs = BigInt(atMs) * MS + OFFSET;
    return this.hear({ $case: 'activate', value: { generation, nonce, atNs } });
  }

  built(material: Material): SubscriberAction[] {
    const { fingerprintSha256 } = material;
    return this.feed({ kind: 'built', build: this.newestBuild, fingerprintSha256 });
  }

  newestBuild = 0;

  /** Serves generation 1 on an open stream, at 0 ms. */
  serving(): this {
    this.feed({ kind: 'streamOpened' });
    this.welcome(materialOf(1n));
    this.newestBuild = 1;
    this.built(materialOf(1n));
    return this;
  }

  get sent(): string[] {
    return this.last.flatMap((action) => (action.kind === 'send' ? [action.message.$case] : []));
  }

  get kinds(): string[] {
    return this.last.map((action) => action.kind);
  }

  find<Kind extends SubscriberAction['kind']>(kind: Kind) {
    return this.last.find((action) => action.kind === kind) as
      | Extract<SubscriberAction, { kind: Kind }>
      | undefined;
  }
}

const FENCE = { partitionPolicy: PartitionPolicy.PARTITION_POLICY_FENCE };

describe('starting', () => {
  test('says hello with what it serves, and nothing else before welcome', () => {
    const cached = { generation: 7n, fingerprintSha256: 'seven' };
    const bench = new Bench({ cached });
    bench.feed({ kind: 'streamOpened' });
    expect(bench.sent).toEqual(['hello']);
    const message = bench.find('send')?.message;
    expect(message?.value).toMatchObject({ generation: 7n, fingerprintSha256: 'seven' });
    bench.feed({ kind: 'probed', generation: 7n, ports: [] });
    expect(bench.sent).toEqual([]);
  });

  test('builds what welcome brings, serves it at once when its instant is past, and reports', () => {
    const bench = new Bench();
    bench.at(10).feed({ kind: 'streamOpened' });
    bench.welcome(materialOf(1n), 3);
    expect(bench.find('build')?.material.generation).toBe(1n);
    expect(bench.sent).toEqual(['heartbeat']);
    bench.newestBuild = 1;
    bench.at(12).built(materialOf(1n));
    expect(bench.find('schedule')?.at).toBe(12n * MS);
    expect(bench.find('promoted')?.generation).toBe(1n);
    expect(bench.sent).toEqual(['activated']);
    expect(bench.kinds).toEqual(expect.arrayContaining(['probe', 'persist']));
  });

  test('waits for the instant of a generation that is committed and not yet in force', () => {
    const bench = new Bench();
    bench.feed({ kind: 'streamOpened' });
    bench.welcome(materialOf(1n), 40);
    bench.newestBuild = 1;
    bench.built(materialOf(1n));
    expect(bench.find('schedule')?.at).toBe(40n * MS);
    expect(bench.machine.status.generation).toBe(0n);
    bench.at(40).feed({ kind: 'timer' });
    expect(bench.machine.status.generation).toBe(1n);
  });

  test('a fencing one with a cache refuses handshakes until it has a lease', () => {
    const cached = { generation: 1n, fingerprintSha256: 'certificate-1' };
    const bench = new Bench({ ...FENCE, cached });
    expect(bench.find('fenceFrom')?.at).toBe(0n);
    expect(bench.machine.status.fenced).toBe(true);
    bench.at(5).feed({ kind: 'streamOpened' });
    bench.at(6).welcome(materialOf(1n));
    expect(bench.find('fenceFrom')?.at).toBe(1_005n * MS);
    expect(bench.machine.status.fenced).toBe(false);
  });

  test('a stream without its welcome is given up', () => {
    const bench = new Bench({ welcomeTimeoutMs: 300 });
    bench.feed({ kind: 'streamOpened' });
    expect(bench.find('wakeAt')?.at).toBe(300n * MS);
    bench.at(300).feed({ kind: 'timer' });
    expect(bench.find('reconnect')?.reason).toBe('silent');
  });

  test('an early timer is set again', () => {
    const bench = new Bench({ welcomeTimeoutMs: 300 });
    bench.feed({ kind: 'streamOpened' });
    bench.at(299).feed({ kind: 'timer' });
    expect(bench.last).toEqual([{ kind: 'wakeAt', at: 300n * MS }]);
  });
});

describe('a switch', () => {
  test('prepare, ready, activate, swap at the instant, report the instant', () => {
    const bench = new Bench().serving();
    bench.at(10).prepare(materialOf(2n));
    expect(bench.find('build')?.build).toBe(2);
    bench.newestBuild = 2;
    bench.at(11).built(materialOf(2n));
    expect(bench.sent).toEqual(['ready']);
    bench.at(12).activate(2n, 30);
    expect(bench.find('schedule')).toMatchObject({ build: 2, generation: 2n, at: 30n * MS });
    bench.at(29).feed({ kind: 'timer' });
    expect(bench.machine.status.generation).toBe(1n);
    bench.at(33).feed({ kind: 'timer' });
    expect(bench.machine.status.generation).toBe(2n);
    const message = bench.find('send')?.message;
    expect(message).toEqual({
      $case: 'activated',
      value: { generation: 2n, fingerprintSha256: 'certificate-2', atNs: 30n * MS + OFFSET },
    });
    bench.feed({ kind: 'probed', generation: 2n, ports: [] });
    expect(bench.sent).toEqual(['verified']);
  });

  test('ports that proved nothing are looked at again until they do', () => {
    const bench = new Bench({ reprobeDelayMs: 200 }).serving();
    const probed = (fingerprintSha256: string, generation = 1n) =>
      bench.feed({
        kind: 'probed',
        generation,
        ports: [
          { listener: 'a', fingerprintSha256: 'certificate-1', error: '' },
          { listener: 'b', fingerprintSha256, error: '' },
        ],
      });
    bench.at(10);
    probed('');
    expect(bench.find('wakeAt')?.at).toBe(210n * MS);
    bench.at(209).feed({ kind: 'timer' });
    expect(bench.kinds).not.toContain('probe');
    bench.at(210).feed({ kind: 'timer' });
    expect(bench.find('probe')).toMatchObject({ generation: 1n });
    bench.at(211);
    probed('another');
    expect(bench.sent).toContain('verified');
    bench.at(411).feed({ kind: 'timer' });
    expect(bench.kinds).toContain('probe');
    bench.at(412);
    probed('certificate-1');
    bench.at(900).feed({ kind: 'timer' });
    expect(bench.kinds).not.toContain('probe');
  });

  test('swaps although the stream is lost by then, and reports it after the next welcome', () => {
    const bench = new Bench().serving();
    bench.prepare(materialOf(2n));
    bench.newestBuild = 2;
    bench.built(materialOf(2n));
    bench.activate(2n, 30);
    bench.at(20).feed({ kind: 'streamLost' });
    bench.at(30).feed({ kind: 'timer' });
    expect(bench.machine.status.generation).toBe(2n);
    expect(bench.sent).toEqual([]);
    bench.at(40).feed({ kind: 'streamOpened' });
    bench.at(41).welcome(materialOf(2n), 30);
    expect(bench.sent).toEqual(['heartbeat', 'activated']);
    expect(bench.find('build')).toBeUndefined();
  });

  test.each([
    ['the material can not be built', 'unusable-material'],
    ['the self-handshake shows another certificate', 'self-handshake-failed'],
    ['it is not built before the deadline', 'too-late'],
  ])('rejects when %s', (_, code) => {
    const bench = new Bench().serving();
    bench.prepare(materialOf(2n));
    bench.newestBuild = 2;
    if (code === 'unusable-material') {
      bench.feed({ kind: 'buildFailed', build: 2, code, detail: 'why' });
    } else if (code === 'self-handshake-failed') {
      bench.feed({ kind: 'built', build: 2, fingerprintSha256: 'another' });
    } else {
      bench.at(500).feed({ kind: 'timer' });
    }
    const rejected = bench.last.find(
      (action) => action.kind === 'send' && action.message.$case === 'rejected',
    );
    expect(rejected).toMatchObject({ message: { value: { generation: 2n, nonce: 'n', code } } });
    expect(bench.find('discard')?.build).toBe(2);
    expect(bench.machine.status.generation).toBe(1n);
  });

  test('the same nonce again builds nothing and says ready again', () => {
    const bench = new Bench().serving();
    bench.prepare(materialOf(2n));
    bench.newestBuild = 2;
    bench.built(materialOf(2n));
    bench.prepare(materialOf(2n));
    expect(bench.find('build')).toBeUndefined();
    expect(bench.sent).toEqual(['ready']);
  });

  test('a newer prepare takes the place of an older one', () => {
    const bench = new Bench().serving();
    bench.prepare(materialOf(2n), 'a');
    bench.prepare(materialOf(2n, 'other'), 'b');
    expect(bench.find('discard')?.build).toBe(2);
    expect(bench.find('build')?.build).toBe(3);
    bench.feed({ kind: 'built', build: 2, fingerprintSha256: 'certificate-2' });
    expect(bench.sent).toEqual([]);
  });

  test('abort discards what was prepared, and only that', () => {
    const bench = new Bench().serving();
    bench.prepare(materialOf(2n), 'a');
    bench.hear({ $case: 'abort', value: { generation: 2n, nonce: 'another' } });
    expect(bench.find('discard')).toBeUndefined();
    bench.hear({ $case: 'abort', value: { generation: 2n, nonce: 'a' } });
    expect(bench.find('discard')?.build).toBe(2);
  });

  test('activate for what it does not hold makes it reconnect', () => {
    const bench = new Bench().serving();
    bench.activate(2n, 30);
    expect(bench.find('reconnect')?.reason).toBe('not-prepared');
  });

  test('activate for a build under way is served as soon as that is done', () => {
    const bench = new Bench().serving();
    bench.prepare(materialOf(2n));
    bench.newestBuild = 2;
    bench.activate(2n, 30);
    bench.at(50).built(materialOf(2n));
    expect(bench.find('schedule')?.at).toBe(50n * MS);
    expect(bench.machine.status.generation).toBe(2n);
  });

  test('activate twice is taken once', () => {
    const bench = new Bench().serving();
    bench.prepare(materialOf(2n));
    bench.newestBuild = 2;
    bench.built(materialOf(2n));
    bench.activate(2n, 30);
    bench.activate(2n, 30);
    expect(bench.last).toEqual([]);
  });

  test.each([1n, 0n])('prepare for generation %d, which is none to come, ends the stream', (n) => {
    const bench = new Bench().serving();
    bench.prepare(materialOf(n));
    expect(bench.find('reconnect')?.reason).toBe('protocol-violation');
  });
});

describe('after a loss', () => {
  test('welcome with what was prepared uses the build', () => {
    const bench = new Bench().serving();
    bench.prepare(materialOf(2n));
    bench.newestBuild = 2;
    bench.built(materialOf(2n));
    bench.at(20).feed({ kind: 'streamLost' });
    bench.feed({ kind: 'streamOpened' });
    bench.welcome(materialOf(2n), 10);
    expect(bench.find('build')).toBeUndefined();
    expect(bench.find('schedule')).toMatchObject({ build: 2, at: 20n * MS });
  });

  test('a build of an aborted try is not taken for another of the same number', () => {
    const bench = new Bench().serving();
    bench.prepare(materialOf(2n, 'aborted'));
    bench.newestBuild = 2;
    bench.built(materialOf(2n, 'aborted'));
    bench.feed({ kind: 'streamLost' });
    bench.feed({ kind: 'streamOpened' });
    bench.welcome(materialOf(2n, 'committed'));
    expect(bench.find('discard')?.build).toBe(2);
    expect(bench.find('build')).toMatchObject({ build: 3, material: { chainPem: 'committed' } });
  });

  test('not even if the ticket seed alone is another', () => {
    const bench = new Bench().serving();
    bench.prepare(materialOf(2n));
    bench.feed({ kind: 'streamLost' });
    bench.feed({ kind: 'streamOpened' });
    bench.welcome({ ...materialOf(2n), ticketSeed: Buffer.from('another') });
    expect(bench.find('build')?.build).toBe(3);
  });

  test('what can not be built is tried again, and it is stale meanwhile', () => {
    const bench = new Bench({ rebuildDelayMs: 100 }).serving();
    bench.feed({ kind: 'streamLost' });
    bench.at(10).feed({ kind: 'streamOpened' });
    bench.welcome(materialOf(2n), 5);
    bench.feed({ kind: 'buildFailed', build: 2, code: 'unusable-material', detail: '' });
    expect(bench.sent).toEqual(['rejected']);
    expect(bench.machine.status.stale).toBe(true);
    bench.at(110).feed({ kind: 'timer' });
    expect(bench.find('build')?.build).toBe(3);
    bench.newestBuild = 3;
    bench.built(materialOf(2n));
    expect(bench.machine.status).toMatchObject({ generation: 2n, stale: false });
  });

  test('an older generation is never gone back to', () => {
    const cached = { generation: 7n, fingerprintSha256: 'seven' };
    const bench = new Bench({ cached });
    bench.feed({ kind: 'streamOpened' });
    bench.welcome(materialOf(3n));
    expect(bench.kinds).toContain('violation');
    expect(bench.find('build')).toBeUndefined();
    expect(bench.machine.status).toMatchObject({ generation: 7n, stale: true });
    bench.prepare(materialOf(8n));
    bench.newestBuild = 1;
    bench.built(materialOf(8n));
    bench.activate(8n, 0);
    expect(bench.machine.status).toMatchObject({ generation: 8n, stale: false });
  });

  test('of two instants to come, each is kept', () => {
    const bench = new Bench().serving();
    bench.prepare(materialOf(2n));
    bench.newestBuild = 2;
    bench.built(materialOf(2n));
    bench.activate(2n, 30);
    bench.feed({ kind: 'streamLost' });
    bench.feed({ kind: 'streamOpened' });
    bench.welcome(materialOf(3n), 50);
    bench.newestBuild = 3;
    bench.built(materialOf(3n));
    expect(bench.find('schedule')).toMatchObject({ generation: 3n, at: 50n * MS });
    bench.at(30).feed({ kind: 'timer' });
    expect(bench.machine.status.generation).toBe(2n);
    bench.at(50).feed({ kind: 'timer' });
    expect(bench.machine.status.generation).toBe(3n);
  });
});

test('an instant that was heard stands, whatever a later registry process says', () => {
  const bench = new Bench().serving();
  bench.prepare(materialOf(2n));
  bench.newestBuild = 2;
  bench.activate(2n, 30);
  bench.feed({ kind: 'streamLost' });
  bench.feed({ kind: 'streamOpened' });
  bench.welcome(materialOf(2n), 70, 'second');
  bench.built(materialOf(2n));
  expect(bench.find('schedule')?.at).toBe(30n * MS);
});

describe('the lease', () => {
  test('runs from the sending of what was answered', () => {
    const bench = new Bench().serving();
    bench.at(250).feed({ kind: 'timer' });
    expect(bench.sent).toEqual(['heartbeat']);
    bench.at(300).ack(250);
    bench.feed({ kind: 'streamLost' });
    bench.at(1_249).feed({ kind: 'timer' });
    expect(bench.machine.status.stale).toBe(false);
    bench.at(1_250).feed({ kind: 'timer' });
    expect(bench.find('setStale')?.stale).toBe(true);
    expect(bench.find('setFenced')).toBeUndefined();
  });

  test('with fence, handshakes end at the instant that it ends, known beforehand', () => {
    const bench = new Bench(FENCE).serving();
    expect(bench.find('fenceFrom')?.at).toBe(1_000n * MS);
    bench.feed({ kind: 'streamLost' });
    bench.at(1_000).feed({ kind: 'timer' });
    expect(bench.find('setFenced')?.fenced).toBe(true);
  });

  test('with fence, an undecided ready shortens it and an abort restores it', () => {
    const bench = new Bench(FENCE).serving();
    bench.at(40).prepare(materialOf(2n));
    bench.newestBuild = 2;
    bench.at(50).ack(40);
    bench.built(materialOf(2n));
    expect(bench.sent).toEqual(['ready']);
    expect(bench.find('fenceFrom')?.at).toBe(140n * MS);
    bench.hear({ $case: 'abort', value: { generation: 2n, nonce: 'n' } });
    expect(bench.find('fenceFrom')?.at).toBe(1_040n * MS);
  });

  test('with fence, what is scheduled is fenced along, also as the first material', () => {
    const bench = new Bench(FENCE);
    bench.feed({ kind: 'streamOpened' });
    bench.welcome(materialOf(1n), 40);
    bench.newestBuild = 1;
    bench.built(materialOf(1n));
    expect(bench.find('fenceFrom')?.at).toBe(1_000n * MS);
    bench.at(10).prepare(materialOf(2n));
    bench.newestBuild = 2;
    bench.built(materialOf(2n));
    expect(bench.sent).toEqual(['ready']);
    expect(bench.find('fenceFrom')?.at).toBe(100n * MS);
  });

  test('with fence, ready waits for an answer that is fresh enough', () => {
    const bench = new Bench(FENCE).serving();
    bench.at(200).prepare(materialOf(2n));
    bench.newestBuild = 2;
    bench.built(materialOf(2n));
    expect(bench.sent).toEqual([]);
    bench.at(210).ack(200);
    expect(bench.sent).toEqual(['ready']);
  });

  test('with fence, the short one stands when another registry process names the outcome', () => {
    const bench = new Bench(FENCE).serving();
    bench.at(40).prepare(materialOf(2n));
    bench.newestBuild = 2;
    bench.ack(40);
    bench.built(materialOf(2n));
    bench.at(60).feed({ kind: 'streamLost' });
    bench.feed({ kind: 'streamOpened' });
    bench.welcome(materialOf(2n), 500, 'second');
    expect(bench.find('schedule')?.at).toBe(500n * MS);
    bench.at(140).feed({ kind: 'timer' });
    expect(bench.machine.status.fenced).toBe(true);
    bench.at(500).feed({ kind: 'timer' });
    expect(bench.machine.status).toMatchObject({ generation: 2n, fenced: false });
  });

  test('with fence, what missed a whole switch is not served until the instant of the next', () => {
    const bench = new Bench(FENCE).serving();
    bench.feed({ kind: 'streamLost' });
    bench.at(1_100).feed({ kind: 'streamOpened' });
    bench.welcome(materialOf(3n), 1_500);
    expect(bench.machine.status.fenced).toBe(true);
  });

  test('with fence, old material ends at the instant also where the new is not built', () => {
    const bench = new Bench(FENCE).serving();
    bench.feed({ kind: 'streamLost' });
    bench.at(10).feed({ kind: 'streamOpened' });
    bench.welcome(materialOf(2n), 30);
    expect(bench.find('fenceFrom')?.at).toBe(30n * MS);
    bench.at(30).feed({ kind: 'timer' });
    expect(bench.machine.status.fenced).toBe(true);
  });

  test('unanswered heartbeats end the stream after half a lease', () => {
    const bench = new Bench().serving();
    bench.at(250).feed({ kind: 'timer' });
    bench.at(499).feed({ kind: 'timer' });
    expect(bench.find('reconnect')).toBeUndefined();
    bench.at(500).feed({ kind: 'timer' });
    expect(bench.find('reconnect')?.reason).toBe('silent');
  });

  test('an answer to what was never asked ends the stream', () => {
    const bench = new Bench().serving();
    bench.at(10).ack(5);
    expect(bench.find('reconnect')?.reason).toBe('protocol-violation');
  });
});

test('a drain waits for the swap that it follows', () => {
  const bench = new Bench().serving();
  bench.prepare(materialOf(2n));
  bench.newestBuild = 2;
  bench.built(materialOf(2n));
  bench.activate(2n, 30);
  bench.hear({ $case: 'drain', value: { belowGeneration: 2n, graceMs: 9 } });
  expect(bench.find('drain')).toBeUndefined();
  bench.at(30).feed({ kind: 'timer' });
  expect(bench.find('drain')).toEqual({ kind: 'drain', belowGeneration: 2n, graceMs: 9 });
});

test.each<[string, FromRegistry]>([
  ['a welcome without material', { $case: 'welcome', value: { material: undefined } as never }],
  ['anything before welcome', { $case: 'abort', value: { generation: 1n, nonce: '' } }],
])('%s ends the stream', (_, message) => {
  const bench = new Bench();
  bench.feed({ kind: 'streamOpened' });
  bench.hear(message);
  expect(bench.find('reconnect')?.reason).toBe('protocol-violation');
});

describe('the clock estimate', () => {
  test.each([
    ['slow', 40, 1_040],
    ['quick', 1, 10_001],
  ])('after %s samples the next heartbeat comes in time', (_, tripMs, next) => {
    const bench = new Bench().at(0);
    bench.feed({ kind: 'streamOpened' });
    bench.at(tripMs).welcome(materialOf(1n), 0, 'first', 10_000);
    bench.at(2 * tripMs).ack(tripMs);
    bench.at(next - 1).feed({ kind: 'timer' });
    expect(bench.sent).toEqual([]);
    bench.at(next).feed({ kind: 'timer' });
    expect(bench.sent).toEqual(['heartbeat']);
  });

  test.each([
    ['well known', 200, {}, []],
    ['known well some time ago', 8_000, {}, ['heartbeat']],
    ['well known, and a lease is wanted', 200, FENCE, ['heartbeat']],
  ])('before a switch, where it is %s', (_, ms, options, sent) => {
    const bench = new Bench(options).at(0);
    bench.feed({ kind: 'streamOpened' });
    bench.at(1).welcome(materialOf(1n), 0, 'first', 100_000);
    bench.at(ms).prepare(materialOf(2n));
    expect(bench.sent).toEqual(sent);
  });

  test('the clock is asked anew a few times only: the way may be long', () => {
    const bench = new Bench().at(0);
    bench.feed({ kind: 'streamOpened' });
    bench.at(40).welcome(materialOf(1n), 0, 'first', 100_000);
    const beats = [];
    for (let ms = 40; ms < 10_000; ms += 20) {
      bench.at(ms).feed({ kind: 'timer' });
      if (ms % 1_000 === 80) bench.ack(ms - 40);
      if (bench.sent.includes('heartbeat')) beats.push(ms);
    }
    expect(beats.length).toBe(5);
  });

  test('the smallest round trip wins', () => {
    const clock = new ClockEstimate('c');
    clock.addSample(0n, 1_050n, 100n);
    clock.addSample(200n, 1_210n, 220n);
    clock.addSample(300n, 1_400n, 500n);
    expect(clock.readAt(500n)).toEqual({ offsetNs: 1_000n, errorNs: 10n });
    expect(clock.roundTripNs).toBe(20n);
    expect(clock.toLocal(1_500n)).toBe(500n);
    expect(clock.toRegistry(500n)).toBe(1_500n);
  });

  test('a quick way there and a quick way back make a quick trip', () => {
    const clock = new ClockEstimate('c');
    clock.addSample(0n, 1_001n, 100n);
    clock.addSample(200n, 1_299n, 300n);
    expect(clock.readAt(300n)).toEqual({ offsetNs: 1_000n, errorNs: 1n });
  });

  test('a clock that jumps is believed', () => {
    const clock = new ClockEstimate('c');
    clock.addSample(0n, 1_000n, 2n);
    clock.addSample(100n, 9_000n, 110n);
    expect(clock.readAt(110n)).toEqual({ offsetNs: 8_895n, errorNs: 5n });
  });

  test('an old sample gives way, since clocks drift', () => {
    const clock = new ClockEstimate('c');
    clock.addSample(0n, 0n, 2n);
    expect(clock.readAt(1_000_000n)?.errorNs).toBe(400n);
    clock.addSample(1_000_000n, 1_000_300n, 1_000_200n);
    expect(clock.readAt(1_000_200n)?.offsetNs).toBe(200n);
  });

  test('there is none before a sample', () => {
    expect(new ClockEstimate('c').readAt(0n)).toBeUndefined();
  });
});
