/** What was seen at one owner name, as it is kept across restarts. */
import { z } from 'zod';
import type { StoredValue, StoredValues } from '../stored-values.ts';
import { type OwnerView, unseen } from './visibility.ts';

const keptSchema = z.object({
  answeredAt: z.number(),
  authenticated: z.boolean(),
  sightings: z
    .array(
      z.object({
        association: z.object({
          usage: z.number(),
          selector: z.number(),
          matchingType: z.number(),
          data: z.string(),
        }),
        since: z.number(),
        ttlSeconds: z.number(),
        formerUntil: z.number().default(0),
      }),
    )
    .readonly(),
  recordsUntil: z.number().default(0),
  absenceUntil: z.number().default(0),
});

type Kept = z.output<typeof keptSchema>;

export class OwnerMemory {
  readonly #kept: StoredValue<Kept>;
  readonly #owner: string;

  constructor(values: StoredValues, owner: string) {
    this.#kept = values.open(`dane/${owner}`, keptSchema);
    this.#owner = owner;
  }

  recall(): OwnerView {
    return { ...unseen(this.#owner), ...this.#kept.value };
  }

  /** Throws nothing: on a full disk it is known in memory all the same. */
  keep(view: OwnerView): void {
    const { answeredAt, authenticated, sightings, recordsUntil, absenceUntil } = view;
    if (answeredAt === undefined) return;
    this.#kept.set({ answeredAt, authenticated, sightings, recordsUntil, absenceUntil });
  }
}
