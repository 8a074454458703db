/** Encrypted connections to a real server: what each sslmode lets through and what it does not. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Issued, issue, keyPem } from '@mail/x509/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../open-store.ts';
import { PostgresServer, postgresIsMissing } from '../../testing/postgres-server.ts';

const DAY_MS = 86_400_000;
const VALID = { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + DAY_MS) };

function authority(subject: string): Issued {
  return issue({ subject, ca: true, ...VALID });
}

describe.skipIf(postgresIsMissing())('a store on a PostgreSQL server with TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'concert-tls-'));
  const ca = join(folder, 'ca.pem');
  const otherCa = join(folder, 'other.pem');
  let server: PostgresServer;
  let url: string;

  beforeAll(async () => {
    const root = authority('Database Root');
    writeFileSync(ca, root.certificate.toString());
    writeFileSync(otherCa, authority('Other Root').certificate.toString());
    const leaf = issue({ subject: 'db', dnsNames: ['localhost'], issuer: root, ...VALID });
    server = await PostgresServer.start({
      tls: { cert: leaf.certificate.toString(), key: keyPem(leaf) },
    });
    url = (await server.createDatabase()).url;
  });
  afterAll(async () => {
    await server?.dispose();
    rmSync(folder, { recursive: true });
  });

  const opens = async (host: string, query: string): Promise<boolean | string> => {
    try {
      const store = await openStore({ url: `${url.replace('127.0.0.1', host)}${query}` });
      const { length } = await store.accounts.list();
      await store.close();
      return length === 0;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };

  it.each([
    ['127.0.0.1', '?sslmode=require', true],
    ['127.0.0.1', `?sslmode=require&sslrootcert=${ca}`, true],
    ['localhost', `?sslmode=verify-full&sslrootcert=${ca}`, true],
    ['localhost', `?sslrootcert=${ca}`, true],
    ['localhost', `?sslrootcert=${otherCa}`, false],
    ['127.0.0.1', `?sslmode=require&sslrootcert=${otherCa}`, false],
    ['127.0.0.1', `?sslrootcert=${ca}`, false],
    ['localhost', '?sslmode=verify-full', false],
  ])('on %s with %s: %s', async (host, query, welcome) => {
    const outcome = await opens(host, query);
    if (welcome) expect(outcome).toBe(true);
    else expect(outcome).toMatch(/PostgreSQL cannot be used: .*(certificate|altnames|issuer)/i);
  });
});
