/**
 * SIGKILL of the IMAP service, of a database server and of all processes at once, again and again, under
 * clients that append, flag, copy, move and expunge: what was acknowledged is there, exactly once. For
 * longer: node tests/testing/crash.ts --rounds 1000
 */
import { join } from 'node:path';
import { PostgresServer, postgresIsMissing } from '@mail/store/testing';
import { describe, expect, test } from 'vitest';
import { CrashModel, type Found, type FoundPlace } from './testing/crash-model.ts';
import { type CrashKind, playCrashes } from './testing/crash-rounds.ts';
import { startSystem } from './testing/system.ts';

/** When what is killed is drawn anew in each run; a failure tells the seed. */
const drawSeed = (): number => Math.floor(Math.random() * 2 ** 31);

const SQLITE_ROUNDS: readonly CrashKind[] = [
  ...(['imap', 'imap', 'imap', 'machine', 'imap'] as const),
  ...(['imap', 'imap', 'imap', 'imap', 'machine'] as const),
];
const POSTGRES_ROUNDS: readonly CrashKind[] = ['database', 'imap', 'machine'];

test('on SQLite', async () => {
  const system = await startSystem();
  try {
    const storeUrl = `sqlite:${join(system.data, 'mail', 'mail.db')}`;
    await playCrashes({ system, storeUrl, kinds: SQLITE_ROUNDS, seed: drawSeed() });
    const { code, stdout } = await system.concert(['store', 'check']);
    expect(stdout).toMatch(
      /^6 mailboxes, \d+ messages, \d+ contents checked: nothing is wrong\.\n$/,
    );
    expect(code).toBe(0);
  } finally {
    await system.close();
  }
});

test.skipIf(postgresIsMissing())('on PostgreSQL', async () => {
  const server = await PostgresServer.start();
  try {
    const { url: storeUrl } = await server.createDatabase();
    const system = await startSystem({ CONCERT_STORE: storeUrl });
    try {
      await playCrashes({ system, storeUrl, server, kinds: POSTGRES_ROUNDS, seed: drawSeed() });
    } finally {
      await system.close();
    }
  } finally {
    await server.dispose();
  }
});

describe('what is compared after a crash', () => {
  const place = { mailbox: 'INBOX', uid: 4, flags: ['\\Seen'], modSeq: 9, whole: true };
  const inbox = { uidValidity: 1, uidNext: 5, highestModSeq: 9 };
  const find = (places: readonly FoundPlace[], mailbox = inbox): Found => ({
    places: places.length === 0 ? new Map() : new Map([[1, places]]),
    mailboxes: new Map([['INBOX', mailbox]]),
  });
  const compare = (found: Found): string[] => {
    const model = new CrashModel();
    model.acknowledge(1, [place]);
    expect(model.compare(find([place]))).toEqual([]);
    return model.compare(found);
  };

  test.each([
    ['lost', find([]), /^message 1 is nowhere/],
    ['doubled', find([place, { ...place, uid: 5 }], { ...inbox, uidNext: 6 }), /INBOX:5/],
    ['elsewhere', find([{ ...place, mailbox: 'Junk' }]), /Junk:4/],
    ['under another UID', find([{ ...place, uid: 3 }]), /INBOX:3/],
    ['without its flags', find([{ ...place, flags: [] }]), /INBOX:4@9\(\)/],
    ['with an older sequence', find([{ ...place, modSeq: 8 }]), /@8/],
    ['cut short', find([{ ...place, whole: false }]), /not whole/],
  ])('a message that is %s', (_, found, fault) => {
    expect(compare(found)).toEqual([expect.stringMatching(fault)]);
  });

  test.each([
    [{ ...inbox, uidValidity: 2 }, /another UIDVALIDITY/],
    [{ ...inbox, highestModSeq: 8 }, /HIGHESTMODSEQ went back/],
    [{ ...inbox, uidNext: 4 }, /UIDNEXT/],
  ])('a mailbox that is not what it was: %o', (mailbox, fault) => {
    expect(compare(find([place], mailbox))[0]).toMatch(fault);
  });

  test('what was not answered may be done or not, and nothing else', () => {
    const after = { ...place, mailbox: 'Junk', uid: undefined, modSeq: 0 };
    const outcomes = [[place], [{ ...place, mailbox: 'Junk', uid: 77 }], [], [place, place]];
    const faults = outcomes.map((places) => {
      const model = new CrashModel();
      model.acknowledge(1, [place]);
      model.begin(1, [after]);
      return model.compare(find(places)).length;
    });
    expect(faults).toEqual([0, 0, 1, 1]);
  });
});
