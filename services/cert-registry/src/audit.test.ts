import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { status } from '@grpc/grpc-js';
import {
  CertRegistryServiceClient,
  KeyType,
  type RotationOptions,
  RotationState,
} from '@mail/proto';
import { silentLogger } from '@mail/service';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AuditTrail } from './audit.ts';
import type { RegistryDatabase } from './database.ts';
import { call, collect, refusal, TestRegistry } from './testing/registry-fixture.ts';

let registry: TestRegistry;
beforeEach(async () => {
  registry = await TestRegistry.start({ REGISTRY_LEASE: '1h' });
});
afterEach(() => registry.remove());

/** From now on the database refuses each audit event, as a full disk does. */
function refuseAuditEvents(): void {
  const database = new DatabaseSync(join(registry.folder, 'registry/registry.db'));
  database.exec(
    `CREATE TRIGGER full BEFORE INSERT ON auditEvent
     BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`,
  );
  database.close();
}

const options: RotationOptions = {
  require: undefined,
  allowNameLoss: false,
  drainPrevious: false,
  prepareTimeoutMs: 0,
  drainGraceMs: 0,
  allowTlsaMissing: false,
};

test('a trail that can’t be written changes nothing of what came of a call', async () => {
  const operator = registry.operator();
  refuseAuditEvents();
  const request = {
    dnsNames: ['localhost'],
    keyType: KeyType.KEY_TYPE_UNSPECIFIED,
    days: 0,
    label: '',
  };
  const { certificate } = await call(operator, operator.createSelfSigned, request);
  const certificateId = certificate?.id ?? '';
  const messages = await collect(operator.rotateCertificate({ certificateId, options }));
  expect(messages.at(-1)?.rotation?.state).toBe(RotationState.ROTATION_STATE_VERIFIED);
  const refused = await refusal(
    collect(operator.rotateCertificate({ certificateId: 'ffffffff', options })),
  );
  expect(refused.code).toBe(status.NOT_FOUND);
});

test('who may not call can’t end a registry that can’t write', async () => {
  refuseAuditEvents();
  const service = registry.client(CertRegistryServiceClient, 'service/imap');
  const denied = await refusal(call(service, service.getFleet, {}));
  expect(denied.code).toBe(status.PERMISSION_DENIED);
});

test('the log has what the trail lacks', () => {
  const full = new Error('database or disk is full');
  const insert = () => {
    throw full;
  };
  const database = { insertAuditEvent: insert, insertAuditEventWithoutSync: insert };
  const logger = silentLogger();
  const error = vi.spyOn(logger, 'error');
  const audit = new AuditTrail(database as unknown as RegistryDatabase, () => 7, logger);
  const entry = { actor: 'a', action: 'Rotate', target: 't', outcome: 'ok' };
  audit.record(entry);
  audit.recordDenial(entry);
  const told = [{ error: full, event: { at: 7, ...entry } }, expect.any(String)];
  expect(error.mock.calls).toEqual([told, told]);
});

test('denials that are alike are one row in ten minutes, which counts those before it', () => {
  const rows: string[] = [];
  const insert = ({ actor, outcome }: { actor: string; outcome: string }) => {
    rows.push(`${actor} ${outcome}`);
  };
  const database = { insertAuditEvent: insert, insertAuditEventWithoutSync: insert };
  let now = 0;
  const audit = new AuditTrail(database as unknown as RegistryDatabase, () => now, silentLogger());
  const deny = (actor: string) =>
    audit.recordDenial({ actor, action: 'GetFleet', target: '', outcome: 'no' });
  for (let calls = 0; calls < 1_000; calls += 1) deny('imap');
  deny('pop');
  now = 600_000;
  deny('imap');
  deny('imap');
  expect(rows).toEqual(['imap no', 'pop no', 'imap no (and 999 more before)']);
});
