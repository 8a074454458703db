import { KeyType } from '@mail/proto';
import { silentLogger } from '@mail/service';
import { beforeEach, expect, test } from 'vitest';
import type { Certificates } from '../../certificates.ts';
import type { CertificateRow, RegistryDatabase } from '../../database.ts';
import { NextRequest } from './next-request.ts';

const rows = new Map<string, CertificateRow>();
/** What was asked for, with the id of the key's owner. */
const asked: { names: readonly string[]; keyOf: string | undefined }[] = [];

function row(id: string, description: object, chainPem: string | null = null): void {
  const text = JSON.stringify({ keyType: 'ECDSA P-256', dnsNames: ['a.example'], ...description });
  rows.set(id, { id, spki: `key of ${id}`, description: text, chainPem } as CertificateRow);
}

const certificates = {
  async createSigningRequest({ dnsNames }: { dnsNames: string[] }, _: string, keyOf?: string) {
    asked.push({ names: dnsNames, keyOf });
    return { id: 'made', spkiSha256: 'key of made' };
  },
} as unknown as Certificates;
const database = { certificate: (id: string) => rows.get(id) } as unknown as RegistryDatabase;

const requests = (policy: 'fresh' | 'reuse' = 'fresh') =>
  new NextRequest({
    certificates,
    database,
    logger: silentLogger(),
    keyType: KeyType.KEY_TYPE_ECDSA_P256,
    keyTypeName: 'ECDSA P-256',
    policy,
  });

beforeEach(() => {
  rows.clear();
  asked.length = 0;
});

test('one that fits is kept, and nothing is made', async () => {
  row('waits', {});
  expect(await requests().ensure('waits', undefined, ['a.example'])).toBe('waits');
  expect(asked).toEqual([]);
});

test.each<[string, () => void, string | undefined]>([
  ['there was none', () => {}, undefined],
  ['an operator has deleted it', () => row('other', {}), undefined],
  ['it has been answered', () => row('waits', {}, 'PEM'), undefined],
  ['it is for other names, and keeps its key', () => row('waits', { dnsNames: ['b'] }), 'waits'],
  ['it has another kind of key', () => row('waits', { keyType: 'RSA 2048' }), undefined],
])('one is made where %s', async (_, prepare, keyOf) => {
  prepare();
  expect(await requests().ensure('waits', undefined, ['a.example'])).toBe('made');
  expect(asked).toEqual([{ names: ['a.example'], keyOf }]);
});

test('under the key of the last certificate where keys are reused', async () => {
  row('last', {}, 'PEM');
  await requests('reuse').ensure(undefined, 'last', ['a.example']);
  await requests('fresh').ensure(undefined, 'last', ['a.example']);
  expect(asked.map(({ keyOf }) => keyOf)).toEqual(['last', undefined]);
});

test('its key is told while it waits', () => {
  row('waits', {});
  row('answered', {}, 'PEM');
  const keys = ['waits', 'answered', 'gone', undefined].map((id) => requests().spki(id));
  expect(keys).toEqual(['key of waits', '', '', '']);
});
