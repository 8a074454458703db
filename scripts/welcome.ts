/**
 * What `npm start` says once all is up: what listens where, as the processes read it from their settings, and
 * commands that work as they stand when they are copied to another terminal.
 */
import { resolve } from 'node:path';
import { type ListenerConfig, parseSettings, type Settings } from '@mail/service';
import { readConfig } from '../services/cert-registry/src/config.ts';
import { imapSettings } from '../services/imap/src/config.ts';
import { popSettings } from '../services/pop/src/config.ts';
import { smtpSettings } from '../services/smtp/src/config.ts';
import { adminAddress } from './admin-address.ts';
import { PROCESSES } from './service-environment.ts';

/** An address that is open, for people. */
export interface OpenPort {
  /** "IMAPS" */
  readonly name: string;
  /** "127.0.0.1:2993" */
  readonly address: string;
  readonly what: string;
}

export interface Start {
  readonly settings: Settings;
  /** Absolute. */
  readonly data: string;
  /** The data folder as it is shown. */
  readonly shown: string;
  readonly demoAddress: string;
  /** Of the demo mailbox, where it has just been made. */
  readonly password: string | undefined;
}

interface MailListeners {
  readonly smtp: readonly ListenerConfig[];
  readonly pop: readonly ListenerConfig[];
  readonly imap: readonly ListenerConfig[];
}

/** Listeners at these are reached as localhost, which the first certificate is for. */
const LOCAL_HOSTS = ['127.0.0.1', '0.0.0.0', '::1', '::'];
const NAMES = {
  mx: { starttls: 'SMTP', implicit: 'SMTPS', none: 'SMTP' },
  submission: { starttls: 'submission', implicit: 'submissions', none: 'submission' },
  pop: { starttls: 'POP3', implicit: 'POP3S', none: 'POP3' },
  imap: { starttls: 'IMAP', implicit: 'IMAPS', none: 'IMAP' },
} as const;
const TLS_WORDS = { starttls: 'STARTTLS', implicit: 'TLS', none: 'no TLS' } as const;

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

function mailListeners(settings: Settings): MailListeners {
  return {
    smtp: parseSettings(smtpSettings, settings).CONCERT_SMTP_LISTENERS,
    pop: parseSettings(popSettings, settings).CONCERT_POP_LISTENERS,
    imap: parseSettings(imapSettings, settings).CONCERT_IMAP_LISTENERS,
  };
}

/** Everything that listens. Throws ServiceError (bad-setting). */
export function openPorts(settings: Settings): OpenPort[] {
  const { smtp, pop, imap } = mailListeners(settings);
  const { listen, acme } = readConfig(settings);
  const port = (name: string, at: { host: string; port: number }, what: string): OpenPort => ({
    name,
    address: `${bracketed(at.host)}:${at.port}`,
    what,
  });
  const ports = smtp.map((listener) => {
    const role = listener.role === 'mx' ? 'mx' : 'submission';
    const who = role === 'mx' ? 'mail from other servers' : 'mail from users';
    return port(NAMES[role][listener.tls], listener, `${who}, ${TLS_WORDS[listener.tls]}`);
  });
  for (const listener of pop) {
    const tls = listener.tls === 'starttls' ? 'STLS' : TLS_WORDS[listener.tls];
    ports.push(port(NAMES.pop[listener.tls], listener, tls));
  }
  for (const listener of imap) {
    ports.push(port(NAMES.imap[listener.tls], listener, TLS_WORDS[listener.tls]));
  }
  ports.push(port('registry', listen, 'gRPC, mutual TLS'));
  if (acme?.challenge.type === 'http-01') {
    ports.push(port('http-01', acme.challenge.listen, 'what the ACME CA asks for, HTTP'));
  }
  for (const process of PROCESSES) {
    const address = adminAddress(process, settings);
    const what = `metrics and probes of ${process}, HTTP`;
    if (address !== undefined) ports.push({ name: 'admin', address, what });
  }
  return ports;
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What another terminal has to set for the command to find this suite; ends with a space unless empty. */
function settingsForCommand({ settings, data }: Start): string {
  const given: Record<string, string | undefined> = {
    CONCERT_CONFIG: settings['CONCERT_CONFIG'] && resolve(settings['CONCERT_CONFIG']),
    CONCERT_DATA: settings['CONCERT_DATA'] && data,
    CONCERT_REGISTRY: settings['CONCERT_REGISTRY'],
  };
  return Object.entries(given)
    .filter((entry): entry is [string, string] => Boolean(entry[1]))
    .map(([name, value]) => `${name}=${quoted(value)} `)
    .join('');
}

/** host:port for a client on this host, of the first listener with implicit TLS. */
function addressForClients(listeners: readonly ListenerConfig[]): string | undefined {
  const found = listeners.find(
    ({ tls, proxyFrom }) => tls === 'implicit' && proxyFrom.length === 0,
  );
  if (found === undefined) return undefined;
  const host = LOCAL_HOSTS.includes(found.host) ? 'localhost' : bracketed(found.host);
  return `${host}:${found.port}`;
}

function mailCommands({ settings, demoAddress, password }: Start): string[] {
  const { smtp, pop, imap } = mailListeners(settings);
  const user = `-u '${demoAddress}:${password ?? 'PASSWORD'}'`;
  const [imaps, pop3s] = [addressForClients(imap), addressForClients(pop)];
  const submissions = addressForClients(smtp.filter(({ role }) => role === 'submission'));
  const read = [
    ...(imaps === undefined ? [] : [`  curl -k 'imaps://${imaps}/INBOX;MAILINDEX=1' ${user}`]),
    ...(pop3s === undefined ? [] : [`  curl -k 'pop3s://${pop3s}/1' ${user}`]),
  ];
  const send =
    submissions === undefined
      ? []
      : [
          `  printf 'Subject: hello\\r\\n\\r\\nHello.\\r\\n' | curl -k smtps://${submissions} ${user} \\`,
          `    --mail-from ${demoAddress} --mail-rcpt ${demoAddress} -T -`,
        ];
  return [
    ...(read.length === 0 ? [] : ['Read mail:', ...read]),
    ...(send.length === 0 ? [] : ['Send mail:', ...send]),
  ];
}

/** The lines to print. Throws ServiceError (bad-setting). */
export function welcome(start: Start): string[] {
  const { settings, shown, demoAddress, password } = start;
  const concert = `  ${settingsForCommand(start)}npx concert`;
  const ports = openPorts(settings);
  const width = Math.max(16, ...ports.map(({ address }) => address.length));
  return [
    '',
    ...ports.map(
      ({ name, address, what }) => `  ${name.padEnd(12)} ${address.padEnd(width)} ${what}`,
    ),
    '',
    `  data and logs in ${shown}`,
    ...(password === undefined
      ? []
      : ['', `  demo mailbox ${demoAddress}, password ${password}   (shown this once)`]),
    '',
    ...mailCommands(start),
    'Rotate the certificate:',
    `${concert} cert self-signed ${readConfig(settings).names.join(' ')}`,
    `${concert} cert list`,
    `${concert} cert rotate ID`,
    ...(password === undefined
      ? ['Forgotten the password?', `${concert} account passwd ${demoAddress}`]
      : []),
    '',
    'Concert is ready',
  ];
}
