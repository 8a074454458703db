/**
 * Thunderbird lives in the IMAP service: logs in, lists, reads, flags, moves, deletes, hears of new mail
 * by IDLE, and of a certificate's rotation nothing. Each effect is looked for on both sides: in the
 * server's mailbox by another session, in Thunderbird's own database of the folder.
 */
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { letter } from './clients/letters.ts';
import { MailHome, type Resident } from './clients/mail-home.ts';
import { areInstalled } from './clients/programs.ts';
import { Thunderbird } from './clients/thunderbird.ts';

const WAIT = { timeout: 20_000, interval: 100 };

describe.skipIf(!areInstalled('thunderbird', 'Xvfb'))('Thunderbird', () => {
  let home: MailHome;
  let resident: Resident;
  let thunderbird: Thunderbird;
  beforeAll(async () => {
    home = await MailHome.open();
    resident = await home.settle('thunderbird');
    for (const [index, subject] of ['one', 'two', 'three', 'four'].entries()) {
      await resident.onlooker.append('INBOX', letter(subject, index + 1));
    }
    await start();
  });
  afterAll(async () => {
    await thunderbird?.quit();
    await home?.close();
  });

  async function start(): Promise<void> {
    const { imaps, submissions } = home.system.ports;
    thunderbird = await Thunderbird.start(join(home.system.data, 'thunderbird'), {
      ...resident,
      imapsPort: imaps.port,
      submissionsPort: submissions.port,
      caPem: home.caPem,
    });
  }

  async function send(subject: string): Promise<void> {
    const { user, password } = resident;
    const transport = createTransport({
      host: 'localhost',
      port: home.system.ports.submissions.port,
      secure: true,
      auth: { user, pass: password },
      tls: { ca: home.caPem },
    });
    await transport.sendMail({ from: user, to: user, subject, text: 'Hello' });
    transport.close();
  }

  const subjects = async (path: string): Promise<string[]> =>
    (await thunderbird.messages(path)).map(({ subject }) => subject);

  test('logs in, and finds the folders and what they are for', async () => {
    await thunderbird.open('INBOX');
    await expect
      .poll(() => thunderbird.folders(), WAIT)
      .toEqual([
        { path: 'INBOX', uses: ['Inbox'] },
        { path: 'Archive', uses: ['Archive'] },
        { path: 'Drafts', uses: ['Drafts'] },
        { path: 'Junk', uses: ['Junk'] },
        { path: 'Sent', uses: ['SentMail'] },
        { path: 'Trash', uses: ['Trash'] },
      ]);
    await expect.poll(() => subjects('INBOX'), WAIT).toEqual(['one', 'two', 'three', 'four']);
  });

  test('what is read is \\Seen', async () => {
    await thunderbird.select('one');
    await expect.poll(() => thunderbird.displayedText(), WAIT).toContain('Grüße, one');
    await expect.poll(() => resident.listing('INBOX'), WAIT).toContain('one \\Seen');
    expect((await thunderbird.messages('INBOX'))[0]).toMatchObject({ uid: 1, read: true });
  });

  test('flags, moves, deletes', async () => {
    await thunderbird.do('cmd_markAsFlagged');
    await expect.poll(() => resident.listing('INBOX'), WAIT).toContain('one \\Flagged \\Seen');
    await thunderbird.select('two');
    await thunderbird.moveTo('Archive');
    await expect.poll(() => resident.listing('Archive'), WAIT).toEqual(['two \\Seen']);
    await thunderbird.select('three');
    await thunderbird.do('cmd_delete');
    await expect.poll(() => resident.listing('Trash'), WAIT).toEqual(['three \\Seen']);
    await expect
      .poll(async () => (await resident.listing('INBOX')).map((one) => one.split(' ')[0]), WAIT)
      .toEqual(['one', 'four']);
    await expect.poll(() => subjects('INBOX'), WAIT).toEqual(['one', 'four']);
  });

  test('hears by IDLE of new mail, of flags and of what another session takes away', async () => {
    await send('fresh');
    await expect.poll(() => subjects('INBOX'), WAIT).toEqual(['one', 'four', 'fresh']);
    const { onlooker } = resident;
    await onlooker.mailboxOpen('INBOX');
    await onlooker.messageFlagsAdd('4', ['\\Flagged'], { uid: true });
    await expect
      .poll(() => thunderbird.messages('INBOX'), WAIT)
      .toContainEqual(expect.objectContaining({ uid: 4, flagged: true }));
    await onlooker.messageDelete('1', { uid: true });
    await expect.poll(() => subjects('INBOX'), WAIT).toEqual(['four', 'fresh']);
  });

  test('sends, and keeps a copy in Sent', async () => {
    await thunderbird.send(resident.user, 'from Thunderbird', 'Grüße');
    await expect.poll(() => resident.listing('Sent'), WAIT).toEqual(['from Thunderbird \\Seen']);
    await expect.poll(() => subjects('INBOX'), WAIT).toContain('from Thunderbird');
  });

  test('started again, it takes what has changed meanwhile', async () => {
    await thunderbird.quit();
    const { onlooker } = resident;
    await onlooker.mailboxOpen('INBOX');
    await onlooker.messageFlagsRemove('4', ['\\Flagged'], { uid: true });
    await onlooker.messageDelete({ subject: 'fresh' });
    await onlooker.append('INBOX', letter('meanwhile', 8));
    await start();
    await thunderbird.open('INBOX');
    await expect
      .poll(() => subjects('INBOX'), WAIT)
      .toEqual(['four', 'from Thunderbird', 'meanwhile']);
    await expect
      .poll(async () => (await thunderbird.messages('INBOX'))[0], WAIT)
      .toMatchObject({ subject: 'four', flagged: false });
  });

  test('a certificate is rotated while it idles: it stays connected and says nothing', async () => {
    const before = endedSessions();
    await home.rotate();
    await send('after the switch');
    await expect.poll(() => subjects('INBOX'), WAIT).toContain('after the switch');
    expect(endedSessions()).toEqual(before);
    expect(await thunderbird.complaints()).toEqual([]);
  });

  test('a certificate is withdrawn from its sessions: it comes back under the next', async () => {
    await home.rotate('--drain-previous');
    await expect.poll(() => endedSessions().length, WAIT).toBeGreaterThan(1);
    await send('after the withdrawal');
    await thunderbird.open('Archive');
    await thunderbird.open('INBOX');
    await expect.poll(() => subjects('INBOX'), WAIT).toContain('after the withdrawal');
    expect(await thunderbird.complaints()).toEqual([]);
  });

  /** The sessions of any account that the service has logged the end of. */
  function endedSessions(): unknown[] {
    const lines = home.system.log('imap').trim().split('\n');
    return lines
      .map((line): { msg: string } => JSON.parse(line))
      .filter(({ msg }) => msg === 'a session has ended');
  }
});
