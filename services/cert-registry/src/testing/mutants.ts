/**
 * Machines that break a rule on purpose, to show that the simulator notices. Each changes what goes into
 * or comes out of the real machine, and so says which line of defence is missing; production code knows
 * nothing of them.
 */
import { Subscriber, type SubscriberAction, type SubscriberEvent } from '@mail/certs/subscriber';
import { PartitionPolicy, RotationState, SubscriberPhase } from '@mail/proto';
import {
  Coordinator,
  type CoordinatorAction,
  type CoordinatorEvent,
  type CoordinatorOptions,
  type RestoredState,
} from '../coordinator.ts';
import type { Machines } from './simulation.ts';

export interface Mutant extends Partial<Machines> {
  readonly name: string;
  /** The rule that catches it, as `Rules` words it. */
  readonly caughtBy: string;
}

const DURABLE = 'a generation is durable before anybody hears of it';
const LEASED = 'nothing is committed while a required subscriber with a lease is not ready';
const FENCED = 'no fencing subscriber serves older material after the instant';
const PROVED = 'verified means that everybody who is still there has proved it';
const CONVERGES = 'the fleet converges when trouble is over';

/** Feeds `committed` when it should only have asked for the write. */
class ActivatesBeforeTheWrite extends Coordinator {
  override handle(event: CoordinatorEvent): CoordinatorAction[] {
    const actions = super.handle(event);
    const commit = actions.find((action) => action.kind === 'commit');
    if (commit === undefined) return actions;
    const { generation } = commit.material;
    return [...actions, ...super.handle({ kind: 'committed', now: event.now, generation })];
  }
}

class ReusesTheTicketSeed extends Coordinator {
  override handle(event: CoordinatorEvent): CoordinatorAction[] {
    if (event.kind !== 'rotate') return super.handle(event);
    const { ticketSeed } = this.active;
    const material = { ...event.request.material, ticketSeed };
    return super.handle({ ...event, request: { ...event.request, material } });
  }
}

/** Takes every loss for a goodbye. */
class IgnoresLeasesOfTheLost extends Coordinator {
  override handle(event: CoordinatorEvent): CoordinatorAction[] {
    return super.handle(event.kind === 'lost' ? { ...event, goodbye: true } : event);
  }
}

class ForgetsWhomItKnew extends Coordinator {
  constructor(options: CoordinatorOptions, restored: RestoredState, now: bigint) {
    super(options, { ...restored, known: [] }, now);
  }
}

/** Plays the timers that a freeze has swallowed, as if it had been listening all the time. */
class CountsItsOwnSilence extends Coordinator {
  #heardAt: bigint | undefined;

  override handle(event: CoordinatorEvent): CoordinatorAction[] {
    const missed: CoordinatorAction[] = [];
    const step = 100_000_000n;
    for (let now = (this.#heardAt ?? event.now) + step; now < event.now; now += step) {
      missed.push(...super.handle({ kind: 'timer', now }));
    }
    this.#heardAt = event.now;
    return [...missed, ...super.handle(event)];
  }
}

class TakesRejectedForReady extends Coordinator {
  override handle(event: CoordinatorEvent): CoordinatorAction[] {
    if (event.kind !== 'message' || event.message.$case !== 'rejected') return super.handle(event);
    const { generation, nonce } = event.message.value;
    return super.handle({ ...event, message: { $case: 'ready', value: { generation, nonce } } });
  }
}

/** Takes everybody for one who serves on, so that no lead waits for a fence. */
class LeadsWithoutTheFence extends Coordinator {
  override handle(event: CoordinatorEvent): CoordinatorAction[] {
    if (event.kind !== 'connected') return super.handle(event);
    const partitionPolicy = PartitionPolicy.PARTITION_POLICY_SERVE;
    return super.handle({ ...event, hello: { ...event.hello, partitionPolicy } });
  }
}

class TellsOnlyOneToActivate extends Coordinator {
  override handle(event: CoordinatorEvent): CoordinatorAction[] {
    return super
      .handle(event)
      .map((action) =>
        action.kind === 'send' && action.message.$case === 'activate'
          ? { ...action, to: action.to.slice(0, 1) }
          : action,
      );
  }
}

/** Calls a commit that failed an aborted rotation only in words: it activates all the same. */
class IgnoresAFailedWrite extends Coordinator {
  override handle(event: CoordinatorEvent): CoordinatorAction[] {
    if (event.kind !== 'commitFailed') return super.handle(event);
    return super.handle({ kind: 'committed', now: event.now, generation: event.generation });
  }
}

/** Welcomes with the active generation and no word of its instant. */
class HidesTheInstantFromNewcomers extends Coordinator {
  override handle(event: CoordinatorEvent): CoordinatorAction[] {
    return super.handle(event).map((action) => {
      if (action.kind !== 'send' || action.message.$case !== 'welcome') return action;
      const value = { ...action.message.value, activateAtNs: 0n };
      return { ...action, message: { $case: 'welcome', value } };
    });
  }
}

/** Looks for proof only at those who were ready in time. */
class OverlooksWhoWasLeftBehind extends Coordinator {
  override handle(event: CoordinatorEvent): CoordinatorAction[] {
    const settled: readonly SubscriberPhase[] = [
      SubscriberPhase.SUBSCRIBER_PHASE_VERIFIED,
      SubscriberPhase.SUBSCRIBER_PHASE_LATE,
      SubscriberPhase.SUBSCRIBER_PHASE_REJECTED,
    ];
    return super.handle(event).map((action) => {
      if (action.kind !== 'finish') return action;
      const { state, outcomes } = action.rotation;
      if (state !== RotationState.ROTATION_STATE_INCOMPLETE) return action;
      if (!outcomes.every(({ phase }) => settled.includes(phase))) return action;
      const rotation = { ...action.rotation, state: RotationState.ROTATION_STATE_VERIFIED };
      return { ...action, rotation };
    });
  }
}

class ServesPastTheFence extends Subscriber {
  override handle(event: SubscriberEvent): SubscriberAction[] {
    return super.handle(event).filter((action) => action.kind !== 'fenceFrom');
  }
}

/** Waits for the outcome under the long lease. */
class KeepsTheLongLease extends Subscriber {
  override handle(event: SubscriberEvent): SubscriberAction[] {
    if (event.kind !== 'message' || event.message.$case !== 'welcome') return super.handle(event);
    const value = { ...event.message.value, preparedLeaseMs: event.message.value.leaseMs };
    return super.handle({ ...event, message: { $case: 'welcome', value } });
  }
}

class SwapsAtOnce extends Subscriber {
  override handle(event: SubscriberEvent): SubscriberAction[] {
    return super
      .handle(event)
      .map((action) => (action.kind === 'schedule' ? { ...action, at: event.now } : action));
  }
}

/** Trusts the one who says it is built. */
class SaysReadyBeforeItHasBuilt extends Subscriber {
  override handle(event: SubscriberEvent): SubscriberAction[] {
    const actions = super.handle(event);
    if (event.kind !== 'message' || event.message.$case !== 'prepare') return actions;
    const { material, nonce } = event.message.value;
    const generation = material?.generation ?? 0n;
    return [
      ...actions,
      { kind: 'send', message: { $case: 'ready', value: { generation, nonce } } },
    ];
  }
}

/** Takes the registry's clock for its own. */
class TrustsForeignClocks extends Subscriber {
  override handle(event: SubscriberEvent): SubscriberAction[] {
    if (event.kind !== 'message' || event.message.$case !== 'heartbeatAck') {
      return super.handle(event);
    }
    const value = { ...event.message.value, registryTimeNs: event.now };
    return super.handle({ ...event, message: { $case: 'heartbeatAck', value } });
  }
}

class NeverReports extends Subscriber {
  override handle(event: SubscriberEvent): SubscriberAction[] {
    return super
      .handle(event)
      .filter((action) => action.kind !== 'send' || action.message.$case !== 'activated');
  }
}

/** Says that it has looked, and at nothing. */
class LooksAtNoPort extends Subscriber {
  override handle(event: SubscriberEvent): SubscriberAction[] {
    return super.handle(event.kind === 'probed' ? { ...event, ports: [] } : event);
  }
}

/** Beats once and never again: the lease runs out on a living stream. */
class LosesHeart extends Subscriber {
  override handle(event: SubscriberEvent): SubscriberAction[] {
    return super.handle(event).filter((action) => action.kind !== 'wakeAt');
  }
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'activate before the durable write',
    Coordinator: ActivatesBeforeTheWrite,
    caughtBy: DURABLE,
  },
  {
    name: 'activate although the write failed',
    Coordinator: IgnoresAFailedWrite,
    caughtBy: DURABLE,
  },
  {
    name: 'take the ticket seed along',
    Coordinator: ReusesTheTicketSeed,
    caughtBy: 'each generation has its own ticket seed',
  },
  {
    name: 'ignore the lease of a lost subscriber',
    Coordinator: IgnoresLeasesOfTheLost,
    caughtBy: LEASED,
  },
  {
    name: 'forget at restart whose lease may run',
    Coordinator: ForgetsWhomItKnew,
    caughtBy: LEASED,
  },
  {
    name: 'run leases out while it is frozen',
    Coordinator: CountsItsOwnSilence,
    caughtBy: PROVED,
  },
  {
    name: 'take a rejection for a ready',
    Coordinator: TakesRejectedForReady,
    caughtBy: 'what a required subscriber rejects is not committed',
  },
  {
    name: 'lead without waiting for the fence',
    Coordinator: LeadsWithoutTheFence,
    caughtBy: FENCED,
  },
  {
    name: 'tell only one subscriber to activate',
    Coordinator: TellsOnlyOneToActivate,
    caughtBy: CONVERGES,
  },
  {
    name: 'welcome without the instant',
    Coordinator: HidesTheInstantFromNewcomers,
    caughtBy: 'a generation has one instant',
  },
  {
    name: 'overlook at the end who was left behind',
    Coordinator: OverlooksWhoWasLeftBehind,
    caughtBy: PROVED,
  },
  { name: 'serve past the fence', Subscriber: ServesPastTheFence, caughtBy: FENCED },
  {
    name: 'wait for the outcome under the long lease',
    Subscriber: KeepsTheLongLease,
    caughtBy: FENCED,
  },
  {
    name: 'swap at once, not at the instant',
    Subscriber: SwapsAtOnce,
    caughtBy: 'nobody swaps before the instant',
  },
  {
    name: 'say ready before it is built',
    Subscriber: SaysReadyBeforeItHasBuilt,
    caughtBy: LEASED,
  },
  {
    name: 'take the registry clock for the own',
    Subscriber: TrustsForeignClocks,
    caughtBy: 'the clock estimate is as good as it says',
  },
  { name: 'never report the swap', Subscriber: NeverReports, caughtBy: CONVERGES },
  { name: 'prove the swap by no port', Subscriber: LooksAtNoPort, caughtBy: CONVERGES },
  { name: 'never wake up', Subscriber: LosesHeart, caughtBy: CONVERGES },
];
