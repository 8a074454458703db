/**
 * How long does it take from the order at an ACME CA until every port has proved its certificate? At a real
 * pebble on this host (Debian: pebble), by http-01, over smtp, pop and imap.
 *
 *   npm run bench -- acme [--orders 10]
 *
 * Nonces are refused and authorizations used again as pebble does by default; its sleep before a validation,
 * up to 15 s by chance, is switched off.
 */
import { operatorClient } from '../tests/testing/operator.ts';
import { acmeSettings, hasPebble, startPebble } from '../tests/testing/pebble.ts';
import { startSystem } from '../tests/testing/system.ts';
import { option, report, summary } from './testing/figures.ts';

const orders = option('orders', 10);
if (!hasPebble()) process.exit(0);

const pebble = await startPebble();
const system = await startSystem(acmeSettings(pebble));
const client = operatorClient(system);

/** Milliseconds from the call to the end of its stream, and the part of it that was the switch. */
async function order(): Promise<{ total: number; switched: number }> {
  const began = performance.now();
  let switched = 0;
  for await (const { rotation } of client.runSource({ name: 'acme', force: true })) {
    if (rotation?.verifiedMs > 0) switched = rotation.verifiedMs;
  }
  if (switched === 0) throw new Error('the switch was not verified');
  return { total: performance.now() - began, switched };
}

try {
  // the registry has loaded what it needs for ACME, and has its account
  await order();
  const taken: { total: number; switched: number }[] = [];
  for (let index = 0; index < orders; index += 1) taken.push(await order());
  report('acme', 'http-01 at pebble', {
    orders,
    orderToVerifiedMs: summary(taken.map(({ total }) => total)),
    ofThisTheSwitchMs: summary(taken.map(({ switched }) => switched)),
  });
} finally {
  client.close();
  await system.close();
  await pebble.close();
}
