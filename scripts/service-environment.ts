/**
 * Which settings each process of `npm start` gets. What only one of them reads, and may be a secret, is in
 * the environment of that one alone: a mail service that is broken into holds no key of the registry's.
 */

export const PROCESSES = ['cert-registry', 'smtp', 'pop', 'imap'] as const;
export type ProcessName = (typeof PROCESSES)[number];

const REGISTRY: readonly ProcessName[] = ['cert-registry'];
const MAIL_SERVICES: readonly ProcessName[] = ['smtp', 'pop', 'imap'];

/** Settings to who reads them. What no line names, as CONCERT_DATA and CONCERT_REGISTRY, all read. */
const READERS: readonly (readonly [RegExp, readonly ProcessName[]])[] = [
  [/^CONCERT_(?:REGISTRY|ACME|FOLDER|DANE|NOTIFY)_|^CONCERT_IDENTITIES$/, REGISTRY],
  [/^CONCERT_MAINTENANCE_WINDOW$/, REGISTRY],
  [/^CONCERT_STORE(?:_|$)|^CONCERT_OIDC_|^CONCERT_PARTITION_POLICY$/, MAIL_SERVICES],
  [/^CONCERT_SMTP_|^CONCERT_(?:HOSTNAME|POSTMASTER)$/, ['smtp']],
  [/^CONCERT_MAX_MESSAGE_SIZE$/, ['smtp', 'imap']],
  [/^CONCERT_POP_/, ['pop']],
  [/^CONCERT_IMAP_/, ['imap']],
];

function reads(name: ProcessName, variable: string): boolean {
  const setting = variable.replace(/_FILE$/, '');
  const [, readers] = READERS.find(([settings]) => settings.test(setting)) ?? [];
  return readers === undefined || readers.includes(name);
}

/** The environment for a process: all but the settings of the others. */
export function serviceEnvironment(
  name: ProcessName,
  environment: NodeJS.ProcessEnv,
): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(environment).filter(([variable]) => reads(name, variable)),
  );
}
