/** The settings of certificate sources that are not ACME's own, and what a policy needs. */
import { resolve } from 'node:path';
import { duration, ServiceError } from '@mail/service';
import { z } from 'zod';
import type { ArrivalPolicy } from './arrival-plan.ts';
import { MaintenanceWindow, MaintenanceWindowError } from './maintenance-window.ts';

/** How a source's setting for its policy is read. */
export const arrivalPolicy = z.enum(['rotate', 'window', 'stage'], {
  error: 'wants rotate, window or stage',
});

const maintenanceWindow = z.string().transform((text, context) => {
  try {
    return MaintenanceWindow.parse(text);
  } catch (error) {
    if (!(error instanceof MaintenanceWindowError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  }
});

export const sourceSettings = z.object({
  /** When sources of policy window switch: "Sun 02:00-04:00 Europe/Berlin", "Mon-Fri 22:30-01:00; daily 12:00-12:15"; without a zone UTC. */
  CONCERT_MAINTENANCE_WINDOW: maintenanceWindow.optional(),
  /** A folder to take certificates from: certbot's live folder, a mounted Secret, or files written one by one. */
  CONCERT_FOLDER_PATH: z.string().min(1, 'wants a path').optional(),
  /** What to do with what comes there: rotate (at once), window (in the maintenance window) or stage (only hold it and tell). */
  CONCERT_FOLDER_POLICY: arrivalPolicy.default('rotate'),
  /** The passphrase of encrypted keys and PKCS#12 files there. */
  CONCERT_FOLDER_PASSPHRASE: z.string().optional(),
  /** How often the folder is looked at. Files must stand unchanged for as long, 2s at most, before they are taken, and 15 times as long before they are refused. */
  CONCERT_FOLDER_INTERVAL: duration(50, 3_600_000).prefault('2s'),
});

export interface FolderConfig {
  /** Absolute. */
  readonly path: string;
  readonly policy: ArrivalPolicy;
  readonly passphrase: string | undefined;
  readonly intervalMs: number;
}

export interface SourcesConfig {
  readonly window: MaintenanceWindow | undefined;
  /** Undefined where it is switched off. */
  readonly folder: FolderConfig | undefined;
}

/** Throws ServiceError (bad-setting). */
export function readSourcesConfig(settings: z.output<typeof sourceSettings>): SourcesConfig {
  const window = settings.CONCERT_MAINTENANCE_WINDOW;
  const path = settings.CONCERT_FOLDER_PATH;
  if (path === undefined) return { window, folder: undefined };
  const policy = settings.CONCERT_FOLDER_POLICY;
  requireWindow('CONCERT_FOLDER_POLICY', policy, window);
  const passphrase = settings.CONCERT_FOLDER_PASSPHRASE;
  const intervalMs = settings.CONCERT_FOLDER_INTERVAL;
  return { window, folder: { path: resolve(path), policy, passphrase, intervalMs } };
}

/** Throws ServiceError (bad-setting) for the policy `window` without one. `setting` is the policy's name. */
export function requireWindow(
  setting: string,
  policy: ArrivalPolicy,
  window: MaintenanceWindow | undefined,
): void {
  if (policy !== 'window' || window !== undefined) return;
  throw new ServiceError(
    'bad-setting',
    `bad settings: ${setting}: window wants CONCERT_MAINTENANCE_WINDOW too, such as "Sun 02:00-04:00 Europe/Berlin"`,
  );
}
