/** The admin ports of the processes of `npm start`, from the one setting that they have in common. */
import type { Settings } from '@mail/service';
import { PROCESSES, type ProcessName } from './service-environment.ts';

/**
 * host:port of a process's metrics and probes: they count up from CONCERT_ADMIN_LISTEN in the order of their
 * start. Undefined where it is not set, and where the system is to choose the port.
 */
export function adminAddress(name: ProcessName, settings: Settings): string | undefined {
  const [, host, port = '0'] = /^(.*):(\d+)$/.exec(settings['CONCERT_ADMIN_LISTEN'] ?? '') ?? [];
  return Number(port) === 0 ? undefined : `${host}:${Number(port) + PROCESSES.indexOf(name)}`;
}
