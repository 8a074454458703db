/**
 * QRESYNC against a model: whatever others do while a client is away, what SELECT tells it on its return
 * makes its copy equal to the mailbox (RFC 7162 §3.2.5).
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Talk } from './testing/talk.ts';
import { PASSWORD, startTestServer, type TestServer } from './testing/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** What a client keeps between its visits. */
class Copy {
  uidValidity = 0;
  modSeq = 1;
  readonly flags = new Map<number, string>();

  /** Takes in one line that SELECT said. */
  hear(line: string): void {
    const validity = /^\* OK \[UIDVALIDITY (\d+)\]/.exec(line);
    if (validity !== null) this.uidValidity = Number(validity[1]);
    const highest = /^\* OK \[HIGHESTMODSEQ (\d+)\]/.exec(line);
    if (highest !== null) this.modSeq = Number(highest[1]);
    const vanished = /^\* VANISHED \(EARLIER\) (\S+)$/.exec(line);
    for (const range of vanished?.[1]?.split(',') ?? []) {
      const [first = 0, last = first] = range.split(':').map(Number);
      for (let uid = first; uid <= last; uid += 1) this.flags.delete(uid);
    }
    const fetched = /^\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)/.exec(line);
    if (fetched !== null) this.flags.set(Number(fetched[1]), flagsOf(fetched[2]));
  }
}

const flagsOf = (text = ''): string => text.split(' ').filter(Boolean).sort().join(' ');

async function visit(talk: Talk, copy: Copy, withUids: boolean): Promise<void> {
  const known = withUids && copy.flags.size > 0 ? ` ${[...copy.flags.keys()].join(',')}` : '';
  const parameters =
    copy.uidValidity === 0 ? '' : ` (QRESYNC (${copy.uidValidity} ${copy.modSeq}${known}))`;
  const lines = await talk.say(`SELECT INBOX${parameters}`);
  for (const line of lines) copy.hear(line);
  if (copy.uidValidity !== 0 && parameters === '') {
    for (const line of await talk.say('UID FETCH 1:* (FLAGS)')) copy.hear(line);
  }
  if (withUids) {
    // those that are new are above all that it named
    const next = Math.max(0, ...copy.flags.keys()) + 1;
    for (const line of await talk.say(`UID FETCH ${next}:* (FLAGS)`)) copy.hear(line);
  }
  await talk.say('UNSELECT');
}

const FLAGS = ['\\Seen', '\\Flagged', 'work', '$Junk'];
const actions = fc.oneof(
  fc.record({ kind: fc.constant('append' as const), flags: fc.subarray(FLAGS) }),
  fc.record({
    kind: fc.constant('store' as const),
    at: fc.nat(3),
    sign: fc.constantFrom('', '+', '-'),
    flags: fc.subarray(FLAGS),
  }),
  fc.record({ kind: fc.constant('expunge' as const), at: fc.nat(3) }),
  fc.record({ kind: fc.constant('move' as const), at: fc.nat(3) }),
  fc.record({ kind: fc.constant('visit' as const) }),
);

test('after any course of changes a returning client agrees with the mailbox', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(actions, { maxLength: 15 }), fc.boolean(), async (course, uids) => {
      const { id, address } = await server.addAccount();
      const inbox = await server.store.mailboxes.find(id, 'INBOX');
      const raw = Buffer.from('A: b\r\n\r\n');
      await server.store.messages.append(inbox?.id ?? 0, [{ raw }, { raw }, { raw }, { raw }]);
      const other = await Talk.open(server.ports.plain, address, PASSWORD, 'INBOX');
      const client = await Talk.open(server.ports.plain, address, PASSWORD);
      await client.say('ENABLE QRESYNC');
      const copy = new Copy();
      await visit(client, copy, uids);
      for (const action of course) {
        switch (action.kind) {
          case 'append':
            await other.say(`APPEND INBOX (${action.flags.join(' ')}) {7+}\r\nA: b\r\n\r`);
            break;
          case 'store':
            await other.say(
              `STORE ${action.at + 1} ${action.sign}FLAGS (${action.flags.join(' ')})`,
            );
            break;
          case 'expunge':
            await other.say(`STORE ${action.at + 1} +FLAGS (\\Deleted)`);
            await other.say('EXPUNGE');
            break;
          case 'move':
            await other.say(`MOVE ${action.at + 1} Trash`);
            break;
          case 'visit':
            await visit(client, copy, uids);
        }
      }
      await visit(client, copy, uids);
      const truth = new Copy();
      await other.say('UNSELECT');
      await visit(other, truth, false);
      expect([...copy.flags].sort(([a], [b]) => a - b)).toEqual([...truth.flags]);
      await Promise.all([other.say('LOGOUT'), client.say('LOGOUT')]);
    }),
    { numRuns: 30 },
  );
});
