/** What was seen at one owner name, kept across restarts as JSON. */
import { z } from 'zod';
import { type OwnerView, unseen } from './visibility.ts';

/** The registry's single values; see RegistryDatabase. */
export interface SettingsMemory {
  read(name: string): string | undefined;
  write(name: string, value: string): void;
}

const keptSchema = z.object({
  answeredAt: z.number(),
  authenticated: z.boolean(),
  sightings: z.array(
    z.object({
      association: z.object({
        usage: z.number(),
        selector: z.number(),
        matchingType: z.number(),
        data: z.string(),
      }),
      since: z.number(),
      ttlSeconds: z.number(),
    }),
  ),
});

export function recall(memory: SettingsMemory, owner: string): OwnerView {
  const text = memory.read(settingOf(owner));
  if (text === undefined) return unseen(owner);
  // what another version wrote is seen anew
  return { ...unseen(owner), ...keptSchema.safeParse(JSON.parse(text)).data };
}

export function keep(memory: SettingsMemory, view: OwnerView): void {
  const { owner, answeredAt, authenticated, sightings } = view;
  if (answeredAt === undefined) return;
  memory.write(settingOf(owner), JSON.stringify({ answeredAt, authenticated, sightings }));
}

function settingOf(owner: string): string {
  return `dane/${owner}`;
}
