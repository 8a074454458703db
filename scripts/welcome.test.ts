import { expect, test } from 'vitest';
import { openPorts, welcome } from './welcome.ts';

const DEFAULT_PORTS = [
  'SMTP 127.0.0.1:2525',
  'submission 127.0.0.1:2587',
  'submissions 127.0.0.1:2465',
  'POP3 127.0.0.1:2110',
  'POP3S 127.0.0.1:2995',
  'IMAP 127.0.0.1:2143',
  'IMAPS 127.0.0.1:2993',
  'registry 127.0.0.1:7443',
];

const shown = (settings: Record<string, string>): string[] =>
  openPorts(settings).map(({ name, address }) => `${name} ${address}`);

function say(settings: Record<string, string>, password?: string): string {
  const { CONCERT_DATA: data = '/srv/concert/data' } = settings;
  const start = { settings, data, shown: 'data', password };
  return welcome({ ...start, demoAddress: 'demo@localhost' }).join('\n');
}

test('the ports are those of the defaults', () => {
  expect(shown({})).toEqual(DEFAULT_PORTS);
  expect(say({})).toContain('  SMTP         127.0.0.1:2525   mail from other servers, STARTTLS\n');
});

test('admin ports come with them, one for each process', () => {
  expect(shown({ CONCERT_ADMIN_LISTEN: '[::1]:9090' })).toEqual([
    ...DEFAULT_PORTS,
    'admin [::1]:9090',
    'admin [::1]:9091',
    'admin [::1]:9092',
    'admin [::1]:9093',
  ]);
});

test('so does the port that the CA asks at, where there is one', () => {
  const acme = {
    CONCERT_ACME_DIRECTORY: 'https://ca.example.org/directory',
    CONCERT_ACME_HTTP_LISTEN: '0.0.0.0:80',
  };
  expect(shown(acme)).toEqual([...DEFAULT_PORTS, 'http-01 0.0.0.0:80']);
  const byHook = { CONCERT_ACME_CHALLENGE: 'dns-01', CONCERT_ACME_DNS_HOOK: process.execPath };
  expect(shown({ ...acme, ...byHook })).toEqual(DEFAULT_PORTS);
  expect(shown({ CONCERT_ACME_HTTP_LISTEN: '0.0.0.0:80' })).toEqual(DEFAULT_PORTS);
});

test('listeners that were changed are shown as they are, and used in what is to be copied', () => {
  const settings = {
    CONCERT_SMTP_LISTENERS: 'starttls://[::]:25?role=mx tls://0.0.0.0:465?role=submission',
    CONCERT_POP_LISTENERS: 'starttls://127.0.0.1:110',
    CONCERT_IMAP_LISTENERS: 'tls://192.0.2.7:993 tls://127.0.0.1:2993?proxy=127.0.0.1',
    CONCERT_REGISTRY_LISTEN: '127.0.0.1:7444',
  };
  expect(shown(settings)).toEqual([
    'SMTP [::]:25',
    'submissions 0.0.0.0:465',
    'POP3 127.0.0.1:110',
    'IMAPS 192.0.2.7:993',
    'IMAPS 127.0.0.1:2993',
    'registry 127.0.0.1:7444',
  ]);
  const text = say(settings);
  expect(text).toContain('smtps://localhost:465');
  expect(text).toContain('imaps://192.0.2.7:993/');
  expect(text).not.toContain('pop3s:');
});

test('commands name what another terminal would not know', () => {
  expect(say({})).toContain('\n  npx concert cert rotate ID\n');
  expect(say({ CONCERT_DATA: "/tmp/it's mine", CONCERT_REGISTRY: '127.0.0.1:7444' })).toContain(
    "\n  CONCERT_DATA='/tmp/it'\\''s mine' CONCERT_REGISTRY=127.0.0.1:7444 npx concert cert list\n",
  );
});

test('the password is told once; later how to set another', () => {
  expect(say({}, 'secret')).toContain('demo mailbox demo@localhost, password secret ');
  expect(say({}, 'secret')).not.toContain('Forgotten');
  expect(say({})).toContain('npx concert account passwd demo@localhost');
});
