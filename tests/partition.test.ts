/**
 * A registry that falls silent, on real processes: what each partition policy does with new handshakes once
 * the lease is out, and that nobody's session minds.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { RotationState, SubscriberPhase } from '@mail/proto';
import { afterEach, expect, test } from 'vitest';
import { handshake } from './testing/handshakes.ts';
import { fleetWhere, getFleet, operatorClient, rotate } from './testing/operator.ts';
import { imapBusy } from './testing/sessions.ts';
import { type MailPort, makeCertificate, type System, startSystem } from './testing/system.ts';

const SERVICES = ['imap', 'pop', 'smtp'] as const;
const VERIFIED = SubscriberPhase.SUBSCRIBER_PHASE_VERIFIED;

let system: Awaited<ReturnType<typeof startSystem>> | undefined;
afterEach(async () => {
  // a stopped process hears SIGTERM only once it goes on
  for (const name of ['cert-registry', ...SERVICES] as const) system?.process(name).kill('SIGCONT');
  await system?.close();
  system = undefined;
});

/** Whether a new connection gets TLS, and whose certificate. */
async function attempt(port: MailPort): Promise<string> {
  try {
    const { socket, fingerprint } = await handshake(port);
    socket.destroy();
    return fingerprint;
  } catch {
    return 'refused';
  }
}

/** Asks until `wanted` is the answer, for ten seconds. */
async function becomes(port: MailPort, wanted: string): Promise<void> {
  let last = '';
  for (let tries = 0; tries < 50 && last !== wanted; tries += 1) {
    last = await attempt(port);
    if (last !== wanted) await pause(200);
  }
  expect([port.name, last]).toEqual([port.name, wanted]);
}

const start = (
  policy: string,
  lease = '2s',
): Promise<System & { user: string; password: string }> =>
  startSystem({ CONCERT_PARTITION_POLICY: policy, CONCERT_REGISTRY_LEASE: lease });

test('serve: new handshakes go on under what is in force', async () => {
  system = await start('serve');
  const client = operatorClient(system);
  const { activeCertificate } = await getFleet(client);
  client.close();
  system.process('cert-registry').kill('SIGSTOP');
  await pause(3_000);
  expect(await attempt(system.ports.imaps)).toBe(activeCertificate?.fingerprintSha256);
  expect(await attempt(system.ports.pop3)).toBe(activeCertificate?.fingerprintSha256);
});

test('a registry that was frozen for longer than a lease waits for the whole fleet, as after a restart', async () => {
  system = await start('serve', '4s');
  const certificate = await makeCertificate(system);
  const client = operatorClient(system);
  await getFleet(client);
  const registry = system.process('cert-registry');
  const services = SERVICES.map((name) => (system as System).process(name));
  registry.kill('SIGSTOP');
  await pause(5_000);
  // nobody is back by the time of the call, whatever their back-off drew
  for (const service of services) service.kill('SIGSTOP');
  registry.kill('SIGCONT');
  const result = await rotate(client, certificate, {}, () => {
    for (const service of services) service.kill('SIGCONT');
  });
  client.close();
  if (!result.ok) throw new Error(result.refusal.message);
  const { state, outcomes } = result.rotation;
  expect(state).toBe(RotationState.ROTATION_STATE_VERIFIED);
  expect(outcomes.map(({ service, phase }) => `${service} ${phase}`).toSorted()).toEqual(
    SERVICES.map((service) => `${service} ${VERIFIED}`),
  );
});

test('fence: new handshakes are refused once the lease is out, sessions live, and all is well again after', async () => {
  system = await start('fence');
  const { imaps, submission } = system.ports;
  const login = { user: system.user, password: system.password };
  const session = await imapBusy(system, 'imaps', login);
  system.process('cert-registry').kill('SIGSTOP');
  await becomes(imaps, 'refused');
  await becomes(submission, 'refused');
  await session.work();

  system.process('cert-registry').kill('SIGCONT');
  const client = operatorClient(system);
  const { activeCertificate } = await fleetWhere(
    client,
    ({ subscribers }) => subscribers.filter(({ state }) => state === 1).length === 3,
  );
  await becomes(imaps, activeCertificate?.fingerprintSha256 ?? '');
  await becomes(submission, activeCertificate?.fingerprintSha256 ?? '');
  // with fences the lead is at least a prepared lease; the switch is as whole as any
  const result = await rotate(client, await makeCertificate(system));
  if (!result.ok) throw new Error(result.refusal.message);
  expect(result.rotation.outcomes.map(({ phase }) => phase)).toEqual([7, 7, 7]);
  await session.work();
  await session.finish();
  client.close();
});
