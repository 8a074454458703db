import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeListener, listeners, parseListener } from './listeners.ts';

test.each([
  ['tls://0.0.0.0:993', { host: '0.0.0.0', port: 993, tls: 'implicit', requireTlsForLogin: true }],
  ['starttls://[::1]:143', { host: '::1', port: 143, tls: 'starttls' }],
  ['none://127.0.0.1:1143?login=plain', { tls: 'none', requireTlsForLogin: false }],
  ['tls://127.0.0.1:0?role=submission', { port: 0, role: 'submission' }],
  [
    'tls://0.0.0.0:993?proxy=10.0.0.0/8,::1&proxy=192.0.2.7',
    { proxyFrom: ['10.0.0.0/8', '::1/128', '192.0.2.7/32'] },
  ],
])('%s', (text, wanted) => {
  expect(parseListener(text)).toMatchObject(wanted);
});

test.each([
  ['imap.example', /no listener/],
  ['http://0.0.0.0:80', /begins with http/],
  ['tls://mail.example:993', /IP address/],
  ['tls://0.0.0.0', /names no port/],
  ['tls://0.0.0.0:99999', /no listener/],
  ['tls://0.0.0.0:993?tls=no', /unknown parameter "tls"/],
  ['tls://0.0.0.0:993?proxy=everyone', /networks/],
  ['none://0.0.0.0:143?login=plain', /only loopback/],
  ['none://0.0.0.0:143', /only loopback/],
  ['starttls://0.0.0.0:143?login=plain', /only loopback/],
  ['tls://0.0.0.0:993?login=maybe', /login=/],
])('%s is refused', (text, why) => {
  expect(() => parseListener(text)).toThrow(why);
});

test('a list of them, or what is wrong with it', () => {
  expect(listeners.parse('tls://127.0.0.1:1  starttls://127.0.0.1:2\n')).toHaveLength(2);
  expect(listeners.safeParse('').success).toBe(false);
  expect(listeners.safeParse('tls://127.0.0.1:1 what').error?.issues[0]?.message).toMatch(/"what"/);
});

test('any text gives a listener or an Error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webUrl({ withQueryParameters: true })), (text) => {
      try {
        expect(parseListener(text).port).toBeLessThanOrEqual(65_535);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
  );
});

test('descriptions', () => {
  expect(describeListener('imap', '127.0.0.1', 993, 'implicit')).toBe('imaps 127.0.0.1:993');
  expect(describeListener('pop3', '::1', 110, 'starttls')).toBe('pop3 [::1]:110');
});
