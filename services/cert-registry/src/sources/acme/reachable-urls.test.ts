import { expect, test } from 'vitest';
import { isAcceptable, mayFollow } from './reachable-urls.ts';

test.each([
  ['https://ca.example/directory', true],
  ['http://127.0.0.1:14000/dir', true],
  ['http://localhost/dir', true],
  ['http://[::1]:14000/dir', true],
  ['http://ca.example/directory', false],
  ['http://127.0.0.1.example/', false],
  ['http://localhost.example/', false],
  ['ftp://127.0.0.1/', false],
  ['file:///etc/passwd', false],
])('a directory at %s: %s', (url, acceptable) => {
  expect(isAcceptable(new URL(url))).toBe(acceptable);
});

const PUBLIC = 'https://ca.example/directory';
const PUBLIC_ADDRESS = 'https://203.0.113.1/directory';
const NEIGHBOUR = 'https://10.0.0.7/directory';
const HERE = 'https://localhost:14000/dir';
const HERE_IN_THE_CLEAR = 'http://127.0.0.1:14000/dir';

test.each([
  // other hosts, as CAs do
  [PUBLIC, 'https://orders.example/1', true],
  [PUBLIC, 'https://203.0.113.9/1', true],
  [PUBLIC, 'https://[2001:db8::1]/1', true],
  [PUBLIC_ADDRESS, 'https://203.0.113.1:444/1', true],
  // in the clear
  [PUBLIC, 'http://127.0.0.1:9000/admin', false],
  [PUBLIC, 'http://localhost:9000/admin', false],
  [PUBLIC, 'http://ca.example/1', false],
  [HERE, 'http://localhost:14000/1', false],
  [HERE_IN_THE_CLEAR, 'http://127.0.0.1:14001/1', true],
  [HERE_IN_THE_CLEAR, 'http://10.0.0.7/1', false],
  // this host and its network, however they are written
  [PUBLIC, 'https://127.0.0.1/1', false],
  [PUBLIC, 'https://127.1:8443/1', false],
  [PUBLIC, 'https://0x7f000001/1', false],
  [PUBLIC, 'https://2130706433/1', false],
  [PUBLIC, 'https://0.0.0.0/1', false],
  [PUBLIC, 'https://localhost/1', false],
  [PUBLIC, 'https://LOCALHOST./1', false],
  [PUBLIC, 'https://x.localhost/1', false],
  [PUBLIC, 'https://10.1.2.3/1', false],
  [PUBLIC, 'https://100.64.0.1/1', false],
  [PUBLIC, 'https://169.254.169.254/latest', false],
  [PUBLIC, 'https://172.31.0.1/1', false],
  [PUBLIC, 'https://172.32.0.1/1', true],
  [PUBLIC, 'https://192.168.1.1/1', false],
  [PUBLIC, 'https://[::]/1', false],
  [PUBLIC, 'https://[::1]/1', false],
  [PUBLIC, 'https://[::ffff:10.0.0.1]/1', false],
  [PUBLIC, 'https://[::ffff:203.0.113.1]/1', true],
  [PUBLIC, 'https://[64:ff9b::7f00:1]/1', false],
  [PUBLIC, 'https://[fd00::1]/1', false],
  [PUBLIC, 'https://[fe80::1]/1', false],
  [PUBLIC_ADDRESS, 'https://10.0.0.7/1', false],
  // where the directory is there itself
  [NEIGHBOUR, 'https://10.0.0.8/1', true],
  [NEIGHBOUR, 'https://ca.example/1', true],
  [HERE, 'https://127.0.0.1:14000/1', true],
  [HERE_IN_THE_CLEAR, 'https://127.0.0.1:14000/1', true],
  [PUBLIC, 'file:///etc/passwd', false],
])('the directory %s leads to %s: %s', (directory, url, follows) => {
  expect(mayFollow(new URL(url), new URL(directory))).toBe(follows);
});
