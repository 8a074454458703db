/**
 * What brings certificates by itself. A source finds or orders a certificate, has the registry hold it, and
 * hands its id to `Arrivals`, which alone decides about the switch: every source takes the same checks and
 * the same two phases as an operator.
 */
import type { Rotation, Source } from '@mail/proto';
import { identityUri } from '@mail/service';
import { RegistryError } from '../errors.ts';
import type { Arrivals } from './arrivals.ts';

export type SourceName = 'acme' | 'folder';

/** Told of each change while a run is under way; the last one is its end. */
export type TellProgress = (source: Source, rotation: Rotation | undefined) => void;

export interface RunOptions {
  /** Acts though nothing is due, or though what lies there has been taken or refused before. */
  readonly force: boolean;
}

export interface CertificateSource {
  readonly name: SourceName;
  /** Begins to act by its own timetable. */
  start(): void;
  /** Begins nothing more and lets go of what it can; resolves when nothing of it runs. Never throws. */
  stop(): Promise<void>;
  /**
   * Acts now; joins a run that is under way. Resolves when what it brought is in force, staged, or waits.
   * Throws RegistryError.
   */
  run(options: RunOptions, tell: TellProgress): Promise<void>;
  /** As the contract has it. */
  describe(): Source;
}

/** Who is named as the actor of what a source does; no caller can have such an identity. */
export function sourceActor(name: SourceName): string {
  return identityUri(`source/${name}`);
}

/** Those that are switched on, and what they have brought. */
export class Sources {
  readonly #sources: readonly CertificateSource[];
  readonly #arrivals: Arrivals;

  constructor(sources: readonly CertificateSource[], arrivals: Arrivals) {
    this.#sources = sources;
    this.#arrivals = arrivals;
  }

  start(): void {
    this.#arrivals.start();
    for (const source of this.#sources) source.start();
  }

  /** Begins nothing more; resolves when nothing of them runs. */
  async stop(): Promise<void> {
    await Promise.all([this.#arrivals, ...this.#sources].map((one) => one.stop()));
  }

  list(): Source[] {
    return this.#sources.map((source) => source.describe());
  }

  /** Throws RegistryError (not-found), and what the source's run throws. */
  run(name: string, options: RunOptions, tell: TellProgress): Promise<void> {
    const source = this.#sources.find((candidate) => candidate.name === name);
    if (source !== undefined) return source.run(options, tell);
    const known = this.#sources.map((candidate) => candidate.name).join(', ') || 'none';
    throw new RegistryError(
      'not-found',
      `no source "${name.slice(0, 64)}" is switched on here; on are: ${known}`,
    );
  }
}
