import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseSettings, ServiceError } from '@mail/service';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { storeSettings, storeUrl } from '../../settings.ts';
import { parsePostgresUrl, withCredentials } from './location.ts';

function caFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'concert-ca-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'ca.pem'), 'an authority');
  return join(folder, 'ca.pem');
}

function refusalOf(url: string): ServiceError {
  try {
    parsePostgresUrl(url);
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
  throw new Error('it was taken');
}

describe("a PostgreSQL store's URL", () => {
  it.each([
    [
      'postgres://mail:secret@db.test:6432/concert',
      { host: 'db.test', port: 6432, user: 'mail', password: 'secret', database: 'concert' },
    ],
    ['postgresql://m%40il@[::1]/c%20d', { host: '::1', port: 5432, user: 'm@il', database: 'c d' }],
    ['postgres://mail:p@ss%25@db.test/concert', { host: 'db.test', password: 'p@ss%' }],
  ])('names the server: %s', (url, expected) => {
    expect(parsePostgresUrl(url)).toMatchObject(expected);
  });

  it('has a name without the password', () => {
    const { name } = parsePostgresUrl('postgres://mail:secret@db.test/concert?sslmode=require');
    expect(name).toBe('postgres://mail@db.test:5432/concert');
  });

  it.each([
    'postgres://',
    'postgres:///secret',
    'postgres://db.test/concert',
    'postgres://mail:secret@db.test',
    'postgres://mail:secret@db.test/a/b',
    'postgres://mail:secret@db.test:99999/concert',
    'postgres://mail:secret%zz@db.test/concert',
    'postgres://mail:secret@db.test/concert?sslmode=prefer',
    'postgres://mail:secret@db.test/concert?host=/tmp',
    'postgres://mail:secret@db.test/concert?sslmode=disable&sslrootcert=/ca.pem',
    'postgres://mail:secret@db.test/concert?sslrootcert=/none/ca.pem',
    'postgres://mail:secret#1@db.test/concert',
  ])('is refused, and not shown: %s', (url) => {
    const error = refusalOf(url);
    expect(error.code).toBe('bad-setting');
    expect(`${error.message}${error.stack}`).not.toContain('secret');
    expect(error.message).not.toContain('\n');
  });

  it('is encrypted and checked as its sslmode says', () => {
    const ca = caFile();
    const tls = (query: string) => parsePostgresUrl(`postgres://m@db.test/c${query}`).tls;
    expect(tls('')).toBeUndefined();
    expect(tls('?sslmode=disable')).toBeUndefined();
    expect(tls('?sslmode=require')).toEqual({ minVersion: 'TLSv1.2', rejectUnauthorized: false });
    expect(tls('?sslmode=verify-full')).toEqual({ minVersion: 'TLSv1.2' });
    const verified = { minVersion: 'TLSv1.2', ca: 'an authority' };
    expect(tls(`?sslrootcert=${ca}`)).toEqual(verified);
    expect(tls(`?sslmode=verify-full&sslrootcert=${ca}`)).toEqual(verified);
    expect(tls(`?sslmode=require&sslrootcert=${ca}`)).toMatchObject({
      ...verified,
      checkServerIdentity: expect.any(Function),
    });
  });

  it('is told to be careless where mail crosses a network in the clear and nobody chose that', () => {
    const careless = (url: string) => parsePostgresUrl(url).carelessly;
    expect(careless('postgres://m@db.test/c')).toBe(true);
    expect(careless('postgres://m@db.test/c?sslmode=disable')).toBe(false);
    expect(careless('postgres://m@db.test/c?sslmode=require')).toBe(false);
    expect(careless('postgres://m@localhost/c')).toBe(false);
    expect(careless('postgres://m@127.0.0.1/c')).toBe(false);
    expect(careless('postgres://m@[::1]/c')).toBe(false);
  });

  it('takes any password and CA file from settings of their own', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (password) => {
        const url = withCredentials('postgres://m:old@db.test/c', password, undefined);
        expect(parsePostgresUrl(url)).toMatchObject({ user: 'm', password, database: 'c' });
      }),
    );
    const settings = parseSettings(storeSettings, {
      CONCERT_STORE: 'postgres://m@db.test/c',
      CONCERT_STORE_PASSWORD: 'p@ss w/rd',
      CONCERT_STORE_CA: caFile(),
    });
    const location = parsePostgresUrl(storeUrl({ ...settings, CONCERT_DATA: '/data' }));
    expect(location).toMatchObject({ password: 'p@ss w/rd', tls: { ca: 'an authority' } });
  });

  it('never makes anything but a setting error of what it cannot read', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parsePostgresUrl(`postgres://${text}`);
        } catch (error) {
          expect(error).toBeInstanceOf(ServiceError);
        }
      }),
    );
  });
});
