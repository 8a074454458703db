import { parseSettings, ServiceError } from '@mail/service';
import { expect, test } from 'vitest';
import { daneSettings, hostOf, readDaneConfig } from './config.ts';

const read = (names: string, resolver = '192.0.2.53') =>
  readDaneConfig(
    parseSettings(daneSettings, { CONCERT_DANE_NAMES: names, CONCERT_DANE_RESOLVER: resolver }),
  );

test('is off without names', () => {
  expect(read('')).toBe(undefined);
});

test.each([
  ['mail.example.org', ['_25._tcp.mail.example.org']],
  [
    '_25._tcp.Mail.Example.org. _993._TCP.imap.example.org',
    ['_25._tcp.mail.example.org', '_993._tcp.imap.example.org'],
  ],
  ['mail.example.org,_25._tcp.mail.example.org', ['_25._tcp.mail.example.org']],
])('%s', (names, owners) => {
  const config = read(names);
  expect(config?.owners).toEqual(owners);
  expect(config?.owners.map(hostOf)).not.toContain('');
});

test.each([
  ['192.0.2.53', { host: '192.0.2.53', port: 53 }],
  ['127.0.0.1:5353', { host: '127.0.0.1', port: 5353 }],
  ['2001:db8::53', { host: '2001:db8::53', port: 53 }],
  ['[2001:db8::53]:5353', { host: '2001:db8::53', port: 5353 }],
  ['dns.example.org:53', { host: 'dns.example.org', port: 53 }],
])('the resolver %s', (text, resolver) => {
  expect(read('mail.example.org', text)?.resolver).toEqual(resolver);
});

test.each([
  ['_25._tcp', '192.0.2.53'],
  ['mail example!', '192.0.2.53'],
  [Array.from({ length: 33 }, (_, index) => `m${index}.example.org`).join(' '), '192.0.2.53'],
  ['mail.example.org', 'not a server'],
  ['mail.example.org', '192.0.2.53:0'],
  ['mail.example.org', '192.0.2.53:70000'],
  ['mail.example.org', '[mail]:53'],
])('refuses %s with the resolver %s', (names, resolver) => {
  expect(() => read(names, resolver)).toThrow(ServiceError);
});
