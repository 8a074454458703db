import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineServerError } from './errors.ts';
import { parseProxyHeader } from './proxy-protocol.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const v4 = `${SIGNATURE}2111000cc0000201c6336401d43103e1`;
const v6 =
  `${SIGNATURE}21210024` +
  '20010db8000000000000000000000001' +
  '20010db8000000000000000000000002' +
  'd431' +
  '03e1';

const proxied = (address: string, port: number) => ({ kind: 'proxied', address, port });

describe('PROXY protocol', () => {
  it.each([
    ['PROXY TCP4 192.0.2.1 198.51.100.1 54321 993\r\n', proxied('192.0.2.1', 54321)],
    ['PROXY TCP6 2001:DB8::1 2001:db8::2 1 65535\r\n', proxied('2001:db8::1', 1)],
    ['PROXY UNKNOWN\r\n', { kind: 'local' }],
    ['PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n', { kind: 'local' }],
  ])('version 1: %s', (text, header) => {
    expect(parseProxyHeader(Buffer.from(`${text}rest`))).toEqual({ header, length: text.length });
  });

  it.each([
    ['IPv4', v4, proxied('192.0.2.1', 54321)],
    ['IPv6', v6, proxied('2001:db8:0:0:0:0:0:1', 54321)],
    [
      'with extensions',
      `${SIGNATURE}21110013c0000201c6336401d43103e103000412345678`,
      proxied('192.0.2.1', 54321),
    ],
    ['LOCAL', `${SIGNATURE}20000000`, { kind: 'local' }],
    ['LOCAL with what is to be skipped', `${SIGNATURE}20110002ffff`, { kind: 'local' }],
  ])('version 2: %s', (_, hex, header) => {
    const octets = Buffer.from(hex, 'hex');
    const found = parseProxyHeader(Buffer.concat([octets, Buffer.from('rest')]));
    expect(found).toEqual({ header, length: octets.length });
  });

  it.each([
    ['a ClientHello', Buffer.from('1603010200', 'hex')],
    ['a command', Buffer.from('EHLO x\r\n')],
    ['another family', Buffer.from('PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n')],
    ['too few words', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n')],
    ['too many words', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n')],
    ['a port that is none', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n')],
    ['an address that is none', Buffer.from('PROXY TCP4 host 1.2.3.4 1 2\r\n')],
    ['an address with octets above 255', Buffer.from('PROXY TCP4 1.2.3.456 1.2.3.4 1 2\r\n')],
    ['an IPv6 address that is none', Buffer.from('PROXY TCP6 :::: ::1 1 2\r\n')],
    ['a line without end', Buffer.from(`PROXY TCP4 ${'1'.repeat(107)}`)],
    ['version 3', Buffer.from(`${SIGNATURE}3111000c`, 'hex')],
    ['an unknown command', Buffer.from(`${SIGNATURE}22110000`, 'hex')],
    ['addresses cut short', Buffer.from(`${SIGNATURE}21110004c0000201`, 'hex')],
    ['Unix sockets', Buffer.from(`${SIGNATURE}2131${'0000'}`, 'hex')],
    ['more than fits', Buffer.from(`${SIGNATURE}2111ffff`, 'hex')],
  ])('refuses %s', (_, octets) => {
    expect(() => parseProxyHeader(octets)).toThrow(
      expect.objectContaining({ code: 'bad-proxy-header' }),
    );
  });

  it('waits for every missing octet', () => {
    for (const whole of [
      Buffer.from(v4, 'hex'),
      Buffer.from(v6, 'hex'),
      Buffer.from('PROXY UNKNOWN\r\n'),
    ]) {
      for (let length = 0; length < whole.length; length += 1) {
        expect(parseProxyHeader(whole.subarray(0, length))).toBeUndefined();
      }
    }
  });

  it('throws nothing but LineServerError', () => {
    const start = fc.constantFrom(
      '',
      'PROXY ',
      'PROXY TCP4 ',
      Buffer.from(SIGNATURE, 'hex').toString('latin1'),
    );
    fc.assert(
      fc.property(start, fc.string({ unit: 'binary' }), (prefix, rest) => {
        const octets = Buffer.from(prefix + rest, 'latin1');
        try {
          const found = parseProxyHeader(octets);
          if (found) expect(found.length).toBeLessThanOrEqual(octets.length);
        } catch (error) {
          expect(error).toBeInstanceOf(LineServerError);
        }
      }),
    );
  });
});
