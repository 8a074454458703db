/**
 * A process of its own that guesses at the passwords of accounts, from a new origin each time; it says over
 * IPC how many of its failures the store has.
 */
import { Authenticator, PasswordHasher, SharedThrottle } from '@mail/auth';
import { METRICS, Metrics, silentLogger } from '@mail/service';
import { type Account, openStore, parseAddress } from '@mail/store';

const [url = '', guesses = '0', ...addresses] = process.argv.slice(2);
const store = await openStore({ url });
let kept = 0;

const logins: typeof store.logins = {
  ...store.logins,
  note: async (notes, ...limits) => {
    await store.logins.note(notes, ...limits);
    for (const { kind, failures } of notes) if (kind === 'account') kept += failures;
    process.send?.(kept);
  },
};
/** It holds itself up for nothing. */
const free = { free: Number(guesses) * addresses.length, firstWaitMs: 0, longestWaitMs: 0 };
const settings = { byOrigin: free, byAccount: free, memoryMs: 3_600_000, maxEntries: 1_000 };
const authenticator = new Authenticator<Account>({
  store: { ...store, logins },
  parseAddress,
  logger: silentLogger(),
  logins: new Metrics().counter(METRICS.logins),
  hasher: new PasswordHasher({ cost: { memoryKiB: 64, passes: 1, parallelism: 1 } }),
  throttle: new SharedThrottle({ records: logins, logger: silentLogger(), settings }),
});

for (const address of addresses) {
  for (let at = 1; at <= Number(guesses); at += 1) {
    const attempt = {
      mechanism: 'plain',
      address,
      password: 'guess',
      origin: `192.0.2.${at}`,
    } as const;
    await authenticator.authenticate(attempt);
  }
}
