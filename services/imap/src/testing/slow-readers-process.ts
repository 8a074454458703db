/**
 * A service of its own for slow-readers.test.ts, whose memory is nobody else's: holds large messages, says where
 * it listens, and how much memory it takes whenever it is asked.
 */
import { startTestServer } from './test-server.ts';

const [count = 0, octets = 0] = process.argv.slice(2).map(Number);

export interface SlowReadersService {
  readonly port: number;
  readonly user: string;
}
export interface MemoryTaken {
  readonly rssBytes: number;
}

const server = await startTestServer();
const account = await server.addAccount();
const inbox = await server.store.mailboxes.find(account.id, 'INBOX');
if (inbox === undefined) throw new Error('every account has an INBOX');
for (let index = 0; index < count; index += 1) {
  const raw = Buffer.alloc(octets, `${index}${'x'.repeat(60)}\r\n`);
  await server.store.messages.append(inbox.id, [{ raw }]);
}
process.on('message', () => {
  process.send?.({ rssBytes: process.memoryUsage.rss() } satisfies MemoryTaken);
});
process.on('disconnect', () => server.close());
process.send?.({ port: server.ports.plain, user: account.address } satisfies SlowReadersService);
