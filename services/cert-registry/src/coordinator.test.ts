import {
  type Material,
  PartitionPolicy,
  type PortObservation,
  RotationKind,
  RotationState,
  SubscriberPhase,
} from '@mail/proto';
import { describe, expect, test } from 'vitest';
import {
  Coordinator,
  type CoordinatorAction,
  type CoordinatorEvent,
  type CoordinatorOptions,
  type FromSubscriber,
  type RestoredState,
  type RotateRequest,
  type StreamId,
} from './coordinator.ts';

const MS = 1_000_000n;
/** An eighth of the lease, as the machine asks for. */
const WAKE = 125n * MS;

function materialOf(label: string): Omit<Material, 'generation'> {
  return {
    certificateId: label,
    chainPem: label,
    privateKeyPem: 'secret',
    ticketSeed: Buffer.from(label),
    fingerprintSha256: label,
  };
}

type WithoutNow<Event> = Event extends { now: bigint } ? Omit<Event, 'now'> : never;

/** A coordinator with a hand on its clock; it starts at 0 ms with generation 1. */
class Bench {
  readonly machine: Coordinator;
  now = 0n;
  last: CoordinatorAction[] = [];
  #rotations = 0n;

  constructor(options: Partial<CoordinatorOptions> = {}, restored: Partial<RestoredState> = {}) {
    this.machine = new Coordinator(
      {
        clockId: 'clock',
        leaseMs: 1_000,
        preparedLeaseMs: 100,
        prepareTimeoutMs: 500,
        minLeadMs: 5,
        maxLeadMs: 200,
        reportTimeoutMs: 300,
        ...options,
      },
      { active: { ...materialOf('one'), generation: 1n }, known: [], ...restored },
      0n,
    );
  }

  /** The timer comes now and then on the way. */
  at(ms: number): this {
    const until = BigInt(ms) * MS;
    while (this.now + WAKE < until) {
      this.now += WAKE;
      this.timer();
    }
    this.now = until;
    return this;
  }

  /** The process stands still up to then: no timer comes. */
  frozenUntil(ms: number): this {
    this.now = BigInt(ms) * MS;
    return this;
  }

  feed(event: WithoutNow<CoordinatorEvent>): CoordinatorAction[] {
    this.last = this.machine.handle({ ...event, now: this.now } as CoordinatorEvent);
    return this.last;
  }

  /** `who` is "service/instance". */
  connect(stream: StreamId, who: string, generation = 1n, fences = false): CoordinatorAction[] {
    const [service = '', instance = ''] = who.split('/');
    const partitionPolicy = fences
      ? PartitionPolicy.PARTITION_POLICY_FENCE
      : PartitionPolicy.PARTITION_POLICY_SERVE;
    const fingerprintSha256 = '';
    const hello = {
      service,
      instance,
      generation,
      fingerprintSha256,
      partitionPolicy,
      version: '',
    };
    return this.feed({ kind: 'connected', stream, hello });
  }

  say(stream: StreamId, message: FromSubscriber): CoordinatorAction[] {
    return this.feed({ kind: 'message', stream, message });
  }

  lose(stream: StreamId, goodbye = false): CoordinatorAction[] {
    return this.feed({ kind: 'lost', stream, goodbye });
  }

  rotate(request: Partial<RotateRequest> = {}): CoordinatorAction[] {
    this.#rotations += 1n;
    return this.feed({
      kind: 'rotate',
      request: {
        id: this.#rotations,
        rotationKind: RotationKind.ROTATION_KIND_ROTATE,
        nonce: `n${this.#rotations}`,
        material: materialOf('two'),
        require: { kind: 'all' },
        ...request,
      },
    });
  }

  beat(stream: StreamId, roundTripMs = 0): CoordinatorAction[] {
    const roundTripNs = BigInt(roundTripMs) * MS;
    return this.say(stream, { $case: 'heartbeat', value: { sentAtNs: 77n, roundTripNs } });
  }

  ready(stream: StreamId, generation = 2n, nonce = 'n1'): CoordinatorAction[] {
    return this.say(stream, { $case: 'ready', value: { generation, nonce } });
  }

  reject(stream: StreamId, nonce = 'n1'): CoordinatorAction[] {
    const value = { generation: 2n, nonce, code: 'unusable-material', detail: 'no' };
    return this.say(stream, { $case: 'rejected', value });
  }

  committed(generation = 2n): CoordinatorAction[] {
    return this.feed({ kind: 'committed', generation });
  }

  activated(stream: StreamId, atMs: number, generation = 2n): CoordinatorAction[] {
    const value = { generation, fingerprintSha256: 'two', atNs: BigInt(atMs) * MS };
    return this.say(stream, { $case: 'activated', value });
  }

  verified(stream: StreamId, fingerprintSha256 = 'two', error = ''): CoordinatorAction[] {
    const ports: PortObservation[] = [{ listener: 'imaps', fingerprintSha256, error }];
    return this.say(stream, { $case: 'verified', value: { generation: 2n, ports } });
  }

  timer(): CoordinatorAction[] {
    return this.feed({ kind: 'timer' });
  }

  find<Kind extends CoordinatorAction['kind']>(kind: Kind) {
    return this.last.find((action) => action.kind === kind) as
      | Extract<CoordinatorAction, { kind: Kind }>
      | undefined;
  }

  /** What was sent, as "case: streams". */
  get sent(): string[] {
    return this.last.flatMap((action) =>
      action.kind === 'send' ? [`${action.message.$case}: ${action.to.join()}`] : [],
    );
  }

  message(wanted: string) {
    return this.last.flatMap((action) =>
      action.kind === 'send' && action.message.$case === wanted ? [action.message.value] : [],
    )[0];
  }

  /** The phases of the rotation's end, or of the one under way. */
  get phases(): Record<string, SubscriberPhase> {
    const rotation = this.find('finish')?.rotation ?? this.machine.rotation;
    return Object.fromEntries(
      (rotation?.outcomes ?? []).map((one) => [`${one.service}/${one.instance}`, one.phase]),
    );
  }
}

/** Two subscribers on streams 1 and 2, and a rotation that requires both. */
function rotating(request: Partial<RotateRequest> = {}, fences = false): Bench {
  const bench = new Bench();
  bench.connect(1, 'imap/a', 1n, fences);
  bench.connect(2, 'pop/b');
  bench.rotate(request);
  return bench;
}

/** The same, committed at 0 ms; the instant is at 5 ms. */
function activating(request: Partial<RotateRequest> = {}): Bench {
  const bench = rotating(request);
  bench.ready(1);
  bench.ready(2);
  bench.committed();
  return bench;
}

const P = SubscriberPhase;

describe('streams', () => {
  test('hello is answered by welcome, after the subscriber was written down', () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a');
    expect(bench.last.slice(0, 3).map((action) => action.kind)).toEqual([
      'remember',
      'changed',
      'send',
    ]);
    expect(bench.message('welcome')).toMatchObject({
      clockId: 'clock',
      material: { generation: 1n },
      activateAtNs: 0n,
      leaseMs: 1_000,
      heartbeatIntervalMs: 250,
      preparedLeaseMs: 100,
    });
  });

  test('a newer stream takes the place of an older one, and is remembered once', () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a');
    bench.connect(2, 'imap/a');
    expect(bench.find('close')).toEqual({ kind: 'close', stream: 1, reason: 'replaced' });
    expect(bench.find('remember')).toBeUndefined();
    bench.lose(1);
    expect(bench.machine.fleet).toMatchObject([{ instance: 'a', connected: true }]);
  });

  test('heartbeats are answered and extend the lease', () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a');
    bench.at(600).beat(1);
    expect(bench.message('heartbeatAck')).toEqual({
      sentAtNs: 77n,
      registryTimeNs: 600n * MS,
      leaseMs: 1_000,
    });
    bench.at(1_500).timer();
    expect(bench.find('close')).toBeUndefined();
    bench.at(1_603).timer();
    expect(bench.find('close')?.reason).toBe('lease-expired');
    expect(bench.find('forget')?.subscriber).toEqual({ service: 'imap', instance: 'a' });
    expect(bench.machine.fleet).toEqual([]);
  });

  test('the lease runs longer here than there, for the drift of the clocks', () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a');
    bench.lose(1);
    bench.at(1_001).timer();
    expect(bench.machine.fleet).toHaveLength(1);
    bench.at(1_003).timer();
    expect(bench.machine.fleet).toHaveLength(0);
  });

  test('goodbye ends the lease at once', () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a');
    bench.lose(1, true);
    expect(bench.find('forget')).toBeDefined();
    expect(bench.machine.fleet).toEqual([]);
  });

  test.each([
    ['no instance', 'imap/'],
    ['an endless one', `imap/${'x'.repeat(129)}`],
  ])('a hello with %s is refused', (_, who) => {
    const bench = new Bench();
    bench.connect(1, who);
    expect(bench.last[0]).toMatchObject({ kind: 'close', reason: 'protocol-violation' });
  });

  test('a second hello ends the stream, and the lease runs on', () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a');
    bench.say(1, {
      $case: 'hello',
      value: {
        service: 'imap',
        instance: 'b',
        generation: 0n,
        fingerprintSha256: '',
        partitionPolicy: 1,
        version: '',
      },
    });
    expect(bench.find('close')?.reason).toBe('protocol-violation');
    expect(bench.machine.fleet).toMatchObject([{ instance: 'a', connected: false }]);
  });
});

describe('a process that stood still', () => {
  /** Two subscribers, of which b is lost; both heard of at 0 ms. */
  const fleetOfTwo = () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a');
    bench.connect(2, 'pop/b');
    bench.lose(2);
    return bench;
  };

  test('closes nobody and forgets nobody: every lease begins anew', () => {
    const bench = fleetOfTwo();
    bench.frozenUntil(60_000).timer();
    expect(bench.find('stalled')).toEqual({ kind: 'stalled', forNs: 60_000n * MS });
    expect(bench.find('close')).toBeUndefined();
    expect(bench.find('forget')).toBeUndefined();
    bench.at(61_001).timer();
    expect(bench.machine.fleet.map(({ connected }) => connected)).toEqual([true, false]);
    bench.at(61_003).timer();
    expect(bench.machine.fleet).toEqual([]);
  });

  test('whatever it hears first, a rotation waits for those it knew', () => {
    const bench = fleetOfTwo();
    bench.frozenUntil(60_000).rotate();
    expect(bench.phases).toEqual({
      'imap/a': P.SUBSCRIBER_PHASE_PREPARING,
      'pop/b': P.SUBSCRIBER_PHASE_LOST,
    });
    bench.ready(1);
    expect(bench.find('commit')).toBeUndefined();
    bench.connect(3, 'pop/b');
    bench.ready(3);
    expect(bench.find('commit')).toBeDefined();
  });

  test('a goodbye that waited is still one', () => {
    const bench = fleetOfTwo();
    bench.frozenUntil(60_000).lose(1, true);
    expect(bench.machine.fleet).toMatchObject([{ instance: 'b', connected: false }]);
  });

  test('asks for the timer often enough to notice, and does not move it with each event', () => {
    const bench = new Bench();
    expect(bench.timer()).toEqual([]);
    bench.connect(1, 'imap/a');
    const at = bench.find('wakeAt')?.at ?? 0n;
    expect(at).toBeLessThanOrEqual(126n * MS);
    bench.at(100).beat(1);
    expect(bench.find('wakeAt')).toBeUndefined();
    bench.now = at;
    bench.timer();
    expect(bench.find('wakeAt')?.at).toBeLessThanOrEqual(at + 126n * MS);
  });

  test('a timer that is a little late is no stall, nor is silence with nobody there', () => {
    const bench = new Bench();
    bench.frozenUntil(60_000).connect(1, 'imap/a');
    expect(bench.find('stalled')).toBeUndefined();
    bench.frozenUntil(60_250).timer();
    expect(bench.find('stalled')).toBeUndefined();
    bench.frozenUntil(60_501).timer();
    expect(bench.find('stalled')).toBeDefined();
  });

  test('a prepare whose deadline has passed meanwhile ends unswitched', () => {
    const bench = rotating();
    bench.ready(1);
    bench.frozenUntil(5_000).timer();
    expect(bench.find('finish')?.rotation.state).toBe(RotationState.ROTATION_STATE_ABORTED);
    expect(bench.sent).toEqual(['abort: 1,2']);
  });

  test('unless the last Ready, sent in time, is what it hears first', () => {
    const bench = rotating();
    bench.ready(1);
    bench.frozenUntil(5_000).ready(2);
    expect(bench.find('commit')).toBeDefined();
  });

  test('after the commit, reports are awaited from then on', () => {
    const bench = activating();
    bench.frozenUntil(5_000).timer();
    expect(bench.find('finish')).toBeUndefined();
    bench.activated(1, 5);
    bench.activated(2, 5);
    bench.verified(1);
    bench.verified(2);
    expect(bench.find('finish')?.rotation.state).toBe(RotationState.ROTATION_STATE_VERIFIED);
  });

  test('who is not back by the end of that wait leaves it incomplete', () => {
    const bench = activating();
    bench.frozenUntil(5_000).lose(2);
    bench.activated(1, 5);
    bench.verified(1);
    expect(bench.find('finish')?.rotation.state).toBe(RotationState.ROTATION_STATE_INCOMPLETE);
    expect(bench.phases['pop/b']).toBe(P.SUBSCRIBER_PHASE_LOST);
  });

  test('an instant is set from when the write was heard of, with no less lead where somebody fences', () => {
    const bench = rotating({}, true);
    bench.ready(1);
    bench.ready(2);
    bench.frozenUntil(60_000).committed();
    expect(bench.message('activate')).toMatchObject({ atNs: 60_100_200_000n });
  });
});

describe('who is presumed gone', () => {
  const gone = () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a');
    bench.lose(1);
    bench.at(1_100);
    bench.connect(2, 'pop/b');
    return bench;
  };

  test('is named, in a rotation too, which does not wait for it', () => {
    const bench = gone();
    expect(bench.machine.gone).toMatchObject([{ service: 'imap', instance: 'a' }]);
    expect(bench.machine.preview({ kind: 'all' })).toMatchObject([{ instance: 'b' }]);
    bench.rotate();
    bench.ready(2);
    bench.committed();
    bench.activated(2, 1_105);
    bench.verified(2);
    bench.at(1_105).timer();
    expect(bench.phases).toEqual({
      'pop/b': P.SUBSCRIBER_PHASE_VERIFIED,
      'imap/a': P.SUBSCRIBER_PHASE_LOST,
    });
    expect(bench.find('finish')?.rotation.state).toBe(RotationState.ROTATION_STATE_VERIFIED);
  });

  test('takes part as ever once it is back, and owes the proof', () => {
    const bench = gone();
    bench.rotate();
    bench.connect(3, 'imap/a');
    expect(bench.machine.gone).toEqual([]);
    bench.ready(2);
    expect(bench.find('commit')).toBeUndefined();
    bench.ready(3);
    expect(bench.find('commit')).toBeDefined();
  });

  test('is spoken of for ten minutes, and the fleet is told when that ends', () => {
    const bench = gone();
    bench.at(601_000).timer();
    expect(bench.machine.gone.map(({ instance }) => instance)).toEqual(['a', 'b']);
    bench.at(601_100).timer();
    expect(bench.machine.gone.map(({ instance }) => instance)).toEqual(['b']);
    expect(bench.find('changed')?.what).toBe('fleet');
  });

  test('is forgotten sooner where there are very many', () => {
    const bench = new Bench();
    for (let stream = 1; stream <= 1_001; stream += 1) bench.connect(stream, `imap/${stream}`);
    bench.at(1_100).timer();
    expect(bench.machine.fleet).toEqual([]);
    expect(bench.machine.gone).toHaveLength(1_000);
  });

  test('is not who said goodbye', () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a');
    bench.lose(1, true);
    expect(bench.machine.gone).toEqual([]);
  });
});

describe('preparing', () => {
  test('everybody is prepared by one message, and the number is the next', () => {
    const bench = rotating();
    expect(bench.sent).toEqual(['prepare: 1,2']);
    expect(bench.message('prepare')).toMatchObject({
      nonce: 'n1',
      timeoutMs: 500,
      material: { generation: 2n, fingerprintSha256: 'two' },
    });
  });

  test('nothing is committed before the last required one is ready', () => {
    const bench = rotating();
    bench.ready(1);
    expect(bench.find('commit')).toBeUndefined();
    bench.ready(2, 2n, 'another try');
    expect(bench.find('commit')).toBeUndefined();
    bench.ready(2);
    expect(bench.find('commit')).toMatchObject({ rotationId: 1n, material: { generation: 2n } });
    expect(bench.sent).toEqual([]);
  });

  test('a rejection by a required one ends it unswitched', () => {
    const bench = rotating();
    bench.ready(1);
    bench.reject(2);
    expect(bench.sent).toEqual(['abort: 1,2']);
    expect(bench.phases).toEqual({
      'imap/a': P.SUBSCRIBER_PHASE_READY,
      'pop/b': P.SUBSCRIBER_PHASE_REJECTED,
    });
    const rotation = bench.find('finish')?.rotation;
    expect(rotation).toMatchObject({
      state: RotationState.ROTATION_STATE_ABORTED,
      toGeneration: 0n,
      failure: 'pop b rejected it (unusable-material: no); nothing was switched',
    });
    expect(bench.machine.active.generation).toBe(1n);
    expect(bench.machine.rotation).toBeUndefined();
  });

  test('so does a required one that is late', () => {
    const bench = rotating();
    bench.ready(1);
    bench.at(499).timer();
    expect(bench.find('finish')).toBeUndefined();
    bench.at(500).timer();
    expect(bench.find('finish')?.rotation.state).toBe(RotationState.ROTATION_STATE_ABORTED);
    expect(bench.phases['pop/b']).toBe(P.SUBSCRIBER_PHASE_LATE);
  });

  test('everybody who is late is named', () => {
    const bench = rotating();
    bench.at(500).timer();
    expect(Object.values(bench.phases)).toEqual([P.SUBSCRIBER_PHASE_LATE, P.SUBSCRIBER_PHASE_LATE]);
  });

  test('a lost one that comes back is prepared anew, and its former ready is void', () => {
    const bench = rotating();
    bench.ready(2);
    bench.lose(2);
    bench.ready(1);
    expect(bench.find('commit')).toBeUndefined();
    bench.at(100).connect(3, 'pop/b');
    expect(bench.sent).toEqual(['welcome: 3', 'prepare: 3']);
    expect(bench.message('prepare')).toMatchObject({ nonce: 'n1', timeoutMs: 400 });
    expect(bench.find('commit')).toBeUndefined();
    bench.ready(3);
    expect(bench.find('commit')).toBeDefined();
  });

  test('a lost one that stays away ends it at the deadline', () => {
    const bench = rotating();
    bench.lose(2);
    bench.ready(1);
    bench.at(500).timer();
    expect(bench.find('finish')?.rotation.failure).toContain('pop b is lost');
  });

  test('one that was lost before counts until its lease has run out', () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a');
    bench.connect(2, 'pop/b');
    bench.lose(2);
    bench.at(700).beat(1);
    bench.rotate();
    bench.ready(1);
    expect(bench.find('commit')).toBeUndefined();
    bench.at(1_003).timer();
    expect(bench.find('commit')).toBeDefined();
    expect(bench.machine.rotation?.outcomes).toMatchObject([
      { instance: 'a', required: true },
      { instance: 'b', required: false, code: 'lease-expired' },
    ]);
  });

  test('goodbye takes the requirement along', () => {
    const bench = rotating();
    bench.ready(1);
    bench.lose(2, true);
    expect(bench.find('commit')).toBeDefined();
  });

  test('one that joins is prepared and required too', () => {
    const bench = rotating();
    bench.ready(1);
    bench.connect(3, 'smtp/c');
    bench.ready(2);
    expect(bench.find('commit')).toBeUndefined();
    bench.ready(3);
    expect(bench.find('commit')).toBeDefined();
  });

  test('after a restart, those known before are lost ones with a whole lease', () => {
    const known = [
      { service: 'pop', instance: 'b', partitionPolicy: PartitionPolicy.PARTITION_POLICY_SERVE },
    ];
    const bench = new Bench({}, { known });
    bench.at(600).rotate();
    expect(bench.find('commit')).toBeUndefined();
    bench.at(1_003).timer();
    expect(bench.find('commit')).toBeDefined();
  });

  test('with nobody there it commits at once', () => {
    const bench = new Bench();
    bench.rotate();
    expect(bench.find('commit')).toBeDefined();
    bench.committed();
    bench.at(5).timer();
    expect(bench.find('finish')?.rotation.state).toBe(RotationState.ROTATION_STATE_VERIFIED);
  });

  test('a second rotation is refused and does not disturb the first', () => {
    const bench = rotating();
    bench.rotate();
    expect(bench.last[0]).toMatchObject({
      kind: 'refuse',
      rotationId: 2n,
      code: 'rotation-in-progress',
    });
    bench.ready(1);
    bench.ready(2);
    expect(bench.find('commit')?.rotationId).toBe(1n);
  });
});

describe('who is required', () => {
  const services = { kind: 'services', services: ['imap'] } as const;

  test('services: a rejection by another service does not count', () => {
    const bench = rotating({ require: services });
    bench.reject(2);
    bench.ready(1);
    expect(bench.find('commit')).toBeDefined();
  });

  test('services: others may take until the deadline', () => {
    const bench = rotating({ require: services });
    bench.ready(1);
    expect(bench.find('commit')).toBeUndefined();
    bench.at(500).timer();
    expect(bench.find('commit')).toBeDefined();
    expect(bench.phases['pop/b']).toBe(P.SUBSCRIBER_PHASE_LATE);
  });

  test('services: one that nobody serves is refused', () => {
    const bench = rotating({ require: { kind: 'services', services: ['imap', 'ldap'] } });
    expect(bench.find('refuse')?.code).toBe('unknown-service');
    expect(bench.sent).toEqual([]);
    expect(bench.machine.rotation).toBeUndefined();
  });

  test('none: goes ahead once all have answered', () => {
    const bench = rotating({ require: { kind: 'none' } });
    bench.reject(1);
    bench.lose(2);
    expect(bench.find('commit')).toBeDefined();
  });

  test('preview says who would take part', () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a');
    bench.connect(2, 'pop/b');
    bench.lose(2);
    expect(bench.machine.preview(services)).toMatchObject([
      { instance: 'a', required: true, phase: P.SUBSCRIBER_PHASE_PREPARING },
      { instance: 'b', required: false, phase: P.SUBSCRIBER_PHASE_LOST },
    ]);
  });
});

describe('committing', () => {
  test('activate goes out only once the write is durable', () => {
    const bench = rotating();
    bench.ready(1);
    bench.ready(2);
    expect(bench.sent).toEqual([]);
    bench.at(3).committed();
    expect(bench.sent).toEqual(['activate: 1,2']);
    expect(bench.message('activate')).toEqual({ generation: 2n, nonce: 'n1', atNs: 8n * MS });
    expect(bench.machine.active.generation).toBe(2n);
  });

  test('a failed write aborts, and its number is not used again', () => {
    const bench = rotating();
    bench.ready(1);
    bench.ready(2);
    bench.feed({ kind: 'commitFailed', generation: 2n, detail: 'disk full' });
    expect(bench.sent).toEqual(['abort: 1,2']);
    expect(bench.find('finish')?.rotation).toMatchObject({
      state: RotationState.ROTATION_STATE_ABORTED,
      toGeneration: 0n,
    });
    bench.rotate();
    expect(bench.message('prepare')).toMatchObject({ material: { generation: 3n } });
  });

  test('nobody is welcomed while the write is under way', () => {
    const bench = rotating();
    bench.ready(1);
    bench.ready(2);
    bench.connect(3, 'smtp/c');
    bench.beat(3);
    expect(bench.sent).toEqual([]);
    bench.committed();
    expect(bench.sent).toEqual(['activate: 1,2', 'welcome: 3']);
    expect(bench.message('welcome')).toMatchObject({
      material: { generation: 2n },
      activateAtNs: 5n * MS,
    });
  });

  test('if it fails, they are welcomed with what is active still', () => {
    const bench = rotating();
    bench.ready(1);
    bench.ready(2);
    bench.connect(3, 'smtp/c');
    bench.feed({ kind: 'commitFailed', generation: 2n, detail: 'disk full' });
    expect(bench.sent).toEqual(['welcome: 3', 'abort: 1,2']);
    expect(bench.message('welcome')).toMatchObject({ material: { generation: 1n } });
  });

  test('who was ready and is on a new stream by then gets welcome, not activate', () => {
    const bench = rotating();
    bench.ready(1);
    bench.ready(2);
    bench.lose(2);
    bench.connect(3, 'pop/b');
    bench.committed();
    expect(bench.sent).toEqual(['activate: 1', 'welcome: 3']);
  });

  test('who was left behind is welcomed again', () => {
    const bench = rotating({ require: { kind: 'none' } });
    bench.ready(1);
    bench.reject(2);
    bench.committed();
    expect(bench.sent).toEqual(['activate: 1', 'welcome: 2']);
  });

  test('the lead is half as long again as the answers took to come, but for the last few', () => {
    const bench = new Bench();
    for (let stream = 1; stream <= 21; stream += 1) bench.connect(stream, `imap/${stream}`);
    bench.rotate();
    for (let stream = 1; stream <= 20; stream += 1) bench.at(100 + 2 * stream).ready(stream);
    bench.at(480).ready(21);
    expect(bench.find('commit')).toBeDefined();
    bench.committed();
    expect(bench.message('activate')).toMatchObject({ atNs: 534n * MS });
  });

  test('the lead is a few of the worst round trips', () => {
    const bench = rotating();
    bench.beat(1, 20);
    bench.beat(2, 4);
    bench.ready(1);
    bench.ready(2);
    bench.committed();
    expect(bench.message('activate')).toMatchObject({ atNs: 60n * MS });
  });

  test('no claim of a round trip makes it longer than the longest', () => {
    const bench = rotating();
    bench.beat(1, 100_000);
    bench.ready(1);
    bench.ready(2);
    bench.committed();
    expect(bench.message('activate')).toMatchObject({ atNs: 200n * MS });
  });

  test('it outlasts a prepared lease where somebody fences', () => {
    const bench = rotating({}, true);
    bench.ready(1);
    bench.ready(2);
    bench.committed();
    expect(bench.message('activate')).toMatchObject({ atNs: (100n * MS * 1_002n) / 1_000n });
  });
});

describe('reports', () => {
  test('active, then verified, then the end', () => {
    const bench = activating();
    bench.at(6).activated(1, 5);
    bench.activated(2, 7);
    expect(bench.machine.rotation).toMatchObject({
      state: RotationState.ROTATION_STATE_ACTIVATED,
      skewNs: 2n * MS,
    });
    bench.verified(1);
    expect(bench.find('finish')).toBeUndefined();
    bench.at(9).verified(2);
    expect(bench.find('finish')?.rotation).toMatchObject({
      state: RotationState.ROTATION_STATE_VERIFIED,
      fromGeneration: 1n,
      toGeneration: 2n,
      activateAt: 5n * MS,
      activatedAt: 6n * MS,
      verifiedAt: 9n * MS,
      outcomes: [{ swapOffsetMs: 0 }, { swapOffsetMs: 2 }],
    });
    expect(JSON.stringify(bench.find('finish'), bigintsAsText)).not.toContain('secret');
  });

  test('a port that serves something else leaves it unverified', () => {
    const bench = activating();
    bench.at(6).activated(1, 5);
    bench.activated(2, 5);
    bench.verified(1);
    bench.verified(2, 'one');
    expect(bench.phases['pop/b']).toBe(P.SUBSCRIBER_PHASE_UNVERIFIED);
    expect(bench.find('finish')?.rotation.state).toBe(RotationState.ROTATION_STATE_INCOMPLETE);
  });

  test('one that looked at no port has proved nothing', () => {
    const bench = activating();
    bench.at(6).activated(1, 5);
    bench.activated(2, 5);
    bench.verified(1);
    bench.say(2, { $case: 'verified', value: { generation: 2n, ports: [] } });
    const { state, outcomes } = bench.find('finish')?.rotation ?? {};
    expect(state).toBe(RotationState.ROTATION_STATE_INCOMPLETE);
    expect(outcomes?.[1]).toMatchObject({ phase: P.SUBSCRIBER_PHASE_UNVERIFIED, code: 'no-ports' });
  });

  /** imap/a was ready in time and has verified, pop/b was late; at the end `then` happens before. */
  const leftBehind = (then: (bench: Bench) => void = () => {}) => {
    const bench = rotating({ require: { kind: 'none' } });
    bench.ready(1);
    bench.at(500).timer();
    bench.committed();
    bench.at(502);
    then(bench);
    bench.at(505).activated(1, 505);
    bench.verified(1);
    return bench.find('finish')?.rotation;
  };

  test('one that was left behind leaves a switch incomplete', () => {
    const rotation = leftBehind();
    expect(rotation?.state).toBe(RotationState.ROTATION_STATE_INCOMPLETE);
    expect(rotation?.verifiedAt).toBeUndefined();
    expect(rotation?.outcomes[1]?.phase).toBe(P.SUBSCRIBER_PHASE_LATE);
  });

  test('unless it has caught up in time', () => {
    const rotation = leftBehind((bench) => {
      bench.activated(2, 505);
      bench.verified(2);
    });
    expect(rotation?.state).toBe(RotationState.ROTATION_STATE_VERIFIED);
  });

  test('or has left', () => {
    const rotation = leftBehind((bench) => bench.feed({ kind: 'lost', stream: 2, goodbye: true }));
    expect(rotation?.state).toBe(RotationState.ROTATION_STATE_VERIFIED);
  });

  test('with everybody late nothing is verified', () => {
    const bench = rotating({ require: { kind: 'none' } });
    bench.at(500).timer();
    bench.committed();
    bench.at(600).timer();
    expect(bench.find('finish')?.rotation.state).toBe(RotationState.ROTATION_STATE_INCOMPLETE);
  });

  test('one that says goodbye after commit owes no report', () => {
    const bench = activating();
    bench.feed({ kind: 'lost', stream: 2, goodbye: true });
    bench.at(6).activated(1, 5);
    expect(bench.machine.rotation?.state).toBe(RotationState.ROTATION_STATE_ACTIVATED);
    bench.verified(1);
    expect(bench.phases['pop/b']).toBe(P.SUBSCRIBER_PHASE_LOST);
    expect(bench.find('finish')?.rotation.state).toBe(RotationState.ROTATION_STATE_VERIFIED);
  });

  test('one that is lost after commit is listed and holds nobody back', () => {
    const bench = activating();
    bench.lose(2);
    bench.at(6).activated(1, 5);
    bench.verified(1);
    expect(bench.phases).toEqual({
      'imap/a': P.SUBSCRIBER_PHASE_VERIFIED,
      'pop/b': P.SUBSCRIBER_PHASE_LOST,
    });
    expect(bench.find('finish')?.rotation.state).toBe(RotationState.ROTATION_STATE_INCOMPLETE);
  });

  test('one that comes back serving the new generation counts as active', () => {
    const bench = activating();
    bench.lose(2);
    bench.at(6).connect(3, 'pop/b', 2n);
    expect(bench.phases['pop/b']).toBe(P.SUBSCRIBER_PHASE_ACTIVE);
  });

  test('the wait for reports ends', () => {
    const bench = activating();
    bench.at(6).activated(1, 5);
    bench.at(305).timer();
    expect(bench.find('finish')?.rotation.state).toBe(RotationState.ROTATION_STATE_INCOMPLETE);
    expect(bench.phases['pop/b']).toBe(P.SUBSCRIBER_PHASE_READY);
  });

  test('no rotation ends before its instant, so that instants come in order', () => {
    const bench = activating();
    bench.lose(1);
    bench.lose(2);
    expect(bench.find('finish')).toBeUndefined();
    bench.at(5).timer();
    expect(bench.find('finish')).toBeDefined();
  });

  test('a swap to what is not committed is a violation', () => {
    const bench = rotating();
    bench.activated(1, 5);
    expect(bench.find('violation')).toBeDefined();
    expect(bench.machine.fleet[0]?.generation).toBe(1n);
  });
});

describe('draining', () => {
  test('follows the last swap, and catches up with those who swap or come later', () => {
    const bench = activating({ drainGraceMs: 9 });
    bench.lose(2);
    bench.at(6).activated(1, 5);
    expect(bench.sent).toEqual(['drain: 1']);
    bench.connect(3, 'pop/b', 1n);
    expect(bench.sent).toEqual(['welcome: 3']);
    bench.activated(3, 7);
    expect(bench.sent).toEqual(['drain: 3']);
    bench.connect(4, 'imap/c', 2n);
    expect(bench.message('drain')).toEqual({ belowGeneration: 2n, graceMs: 9 });
  });
});

describe('after a restart', () => {
  const known = [
    { service: 'pop', instance: 'b', partitionPolicy: PartitionPolicy.PARTITION_POLICY_FENCE },
  ];

  test('the committed generation is due once no fencing subscriber can serve the former', () => {
    const bench = new Bench({}, { known });
    bench.connect(1, 'imap/a');
    expect(bench.message('welcome')).toMatchObject({ activateAtNs: 200n * MS });
  });

  test('the number of a subscriber that has seen more than the disk is skipped', () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a', 6n);
    expect(bench.find('violation')?.detail).toContain('serves generation 6');
    bench.rotate();
    expect(bench.message('prepare')).toMatchObject({ material: { generation: 7n } });
  });

  test('but not any number that a stranger makes up', () => {
    const bench = new Bench();
    bench.connect(1, 'imap/a', 2n ** 63n);
    bench.rotate();
    expect(bench.message('prepare')).toMatchObject({ material: { generation: 2n } });
  });
});

test('an early timer is set again', () => {
  const bench = rotating();
  bench.at(499).timer();
  expect(bench.find('wakeAt')?.at).toBe(500n * MS);
});

function bigintsAsText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
