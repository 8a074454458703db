/**
 * People live in the IMAP service with the programs they have: Python's imaplib, curl, mbsync,
 * offlineimap, mutt and neomutt, each with an account of its own on a whole system. What a program did is
 * looked for by another session. (imapflow is with the service, Thunderbird in a file of its own.)
 */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { letter } from './clients/letters.ts';
import { type MailboxState, MailHome, type Resident } from './clients/mail-home.ts';
import { MaildirFolder } from './clients/maildir.ts';
import { areInstalled, run } from './clients/programs.ts';

let home: MailHome;
beforeAll(async () => {
  home = await MailHome.open();
});
afterAll(() => home?.close());

/** A new account with letters in its INBOX, of the first days of March. */
async function settleWith(name: string, ...subjects: readonly string[]): Promise<Resident> {
  const resident = await home.settle(name);
  for (const [index, subject] of subjects.entries()) {
    await resident.onlooker.append('INBOX', letter(subject, index + 1));
  }
  return resident;
}

const newFolder = (name: string): Promise<string> => mkdtemp(join(home.system.data, name));

test.skipIf(!areInstalled('python3'))('imaplib: a whole journey', async () => {
  const { user, password } = await settleWith('imaplib', 'one', 'two', 'three');
  const { imap, imaps } = home.system.ports;
  const script = join(import.meta.dirname, 'clients/imaplib_journey.py');
  const args = [script, user, password, `${imap.port}`, `${imaps.port}`, home.caFile];
  expect(JSON.parse(await run('python3', args))).toEqual({
    'login before TLS': true,
    namespace: ['OK', ['(("" "/")) (("Users/" "/")) NIL']],
    create: ['OK', 'OK'],
    rename: 'OK',
    list: ['(\\HasNoChildren) "/" work/2027'],
    lsub: [
      '() "/" INBOX',
      '() "/" Archive',
      '() "/" Drafts',
      '() "/" Junk',
      '() "/" Sent',
      '() "/" Trash',
      // a subscription is to a name, which RENAME leaves alone (RFC 3501 §6.3.6)
      '() "/" work/2026',
    ],
    status: ['INBOX (MESSAGES 3 UNSEEN 3 UIDNEXT 4)'],
    select: ['OK', ['3']],
    search: ['OK', ['2 3']],
    sort: ['OK', ['2 3 1']],
    thread: ['OK', ['(1)(2)(3)']],
    peek: ['1 (FLAGS () BODY[HEADER.FIELDS (SUBJECT)] {16}', 'Subject: one\r\n\r\n'],
    read: [['1 (BODY[TEXT] {14}', 'Grüße, one\r\n'], ' FLAGS (\\Seen))'],
    partial: ['1 (BODY[]<6> {12}', '1 Mar 2026 0'],
    store: 'OK',
    flags: ['1 (UID 1 FLAGS (\\Seen))', '2 (UID 2 FLAGS (\\Flagged $Label1))'],
    append: 'OK',
    copy: 'OK',
    move: 'OK',
    delete: ['2 (FLAGS (\\Deleted))'],
    // the first is the move's
    expunge: ['OK', ['2', '2']],
    close: 'OK',
    bye: 'BYE',
    'read only': ['OK', ['2']],
    appended: ['1 (FLAGS (\\Draft) INTERNALDATE " 1-Jan-1970 00:00:00 +0000" RFC822.SIZE 22)'],
    copied: ['2 (FLAGS (\\Seen) RFC822.SIZE 209)'],
    refused: 'NO',
    unselect: 'OK',
    emptied: ['OK', 'OK'],
    recent: ['OK', ['1']],
  });
});

test.skipIf(!areInstalled('curl'))('curl: each of its IMAP operations', async () => {
  const resident = await settleWith('curl', 'one', 'two', 'three');
  const { imap, imaps } = home.system.ports;
  const curl = (url: string, ...args: readonly string[]): Promise<string> =>
    run('curl', [
      ...['--silent', '--show-error', '--ssl-reqd', '--max-time', '20', '--cacert', home.caFile],
      ...['--user', `${resident.user}:${resident.password}`, ...args, url],
    ]);
  const root = `imaps://localhost:${imaps.port}`;
  const inbox = `${root}/INBOX`;
  expect(await curl(root)).toContain('* LIST (\\HasNoChildren \\Sent) "/" Sent\r\n');
  expect(await curl(`imap://localhost:${imap.port}/INBOX;UID=1`)).toBe(letter('one', 1));
  expect(await curl(`${inbox};MAILINDEX=2;SECTION=TEXT`)).toBe('Grüße, two\r\n');
  expect(await curl(`${inbox}?SUBJECT%20three`)).toBe('* SEARCH 3\r\n');
  expect(await curl(root, '-X', 'STATUS INBOX (MESSAGES UNSEEN)')).toBe(
    '* STATUS INBOX (MESSAGES 3 UNSEEN 1)\r\n',
  );
  const file = join(home.system.data, 'sent.eml');
  await writeFile(file, letter('sent'));
  await curl(`${root}/Sent`, '--upload-file', file);
  expect(await resident.listing('Sent')).toEqual(['sent \\Seen']);
  expect(await curl(inbox, '-X', 'STORE 1 +FLAGS (\\Flagged)')).toBe(
    '* 1 FETCH (FLAGS (\\Seen \\Flagged))\r\n',
  );
  await curl(inbox, '-X', 'UID STORE 2 +FLAGS.SILENT (\\Deleted)');
  expect(await curl(inbox, '-X', 'EXPUNGE')).toBe('* 2 EXPUNGE\r\n');
  expect(await resident.listing('INBOX')).toEqual(['one \\Flagged \\Seen', 'three']);
  await expect(curl(`${inbox};UID=9`)).rejects.toMatchObject({ code: 78 });
});

/** What both sides hold, and by what a change would be seen that leaves it as it is. */
async function picture(resident: Resident, inbox: MaildirFolder) {
  const mailboxes = new Map<string, MailboxState>();
  for (const { path } of await resident.onlooker.list()) {
    mailboxes.set(path, await resident.mailbox(path));
  }
  return { mailboxes, files: await inbox.files() };
}

/** Sets a program up to keep the account below `mail` of a folder; gives what synchronises once. */
type SetUp = (folder: string, resident: Resident) => Promise<() => Promise<string>>;

const SYNCHRONISERS: Readonly<Record<string, SetUp>> = {
  async mbsync(folder, { user, password }) {
    await mkdir(join(folder, 'mail'));
    const file = join(folder, 'mbsyncrc');
    await writeFile(
      file,
      `IMAPAccount concert
        Host localhost
        Port ${home.system.ports.imaps.port}
        User ${user}
        Pass "${password}"
        SSLType IMAPS
        CertificateFile ${home.caFile}

        IMAPStore far
        Account concert

        MaildirStore near
        Path ${folder}/mail/
        Inbox ${folder}/mail/INBOX
        SubFolders Verbatim

        Channel all
        Far :far:
        Near :near:
        Patterns *
        Create Both
        Expunge Both
        Sync All
        SyncState *
        `.replaceAll(/^ +/gm, ''),
    );
    return () => run('mbsync', ['-V', '-c', file, '-a']);
  },
  async offlineimap(folder, { user, password }) {
    const file = join(folder, 'offlineimaprc');
    await writeFile(
      file,
      `[general]
        accounts = concert
        metadata = ${folder}/metadata
        ui = basic

        [Account concert]
        localrepository = near
        remoterepository = far

        [Repository near]
        type = Maildir
        localfolders = ${folder}/mail
        sep = /

        [Repository far]
        type = IMAP
        remotehost = localhost
        remoteport = ${home.system.ports.imaps.port}
        ssl = yes
        sslcacertfile = ${home.caFile}
        remoteuser = ${user}
        remotepass = ${password}
        `.replaceAll(/^ +/gm, ''),
    );
    return () => run('offlineimap', ['-c', file, '-o'], { env: { HOME: folder } });
  },
};

describe.each(Object.entries(SYNCHRONISERS))('%s', (name, setUp) => {
  test.skipIf(!areInstalled(name))(
    'brings all, then nothing, then what either side has changed',
    async () => {
      const resident = await settleWith(name, 'one', 'two', 'three', 'four', 'five');
      const { onlooker } = resident;
      await onlooker.mailboxCreate(['Büro & Co', 'Täglich']);
      const folder = await newFolder(name);
      const synchronise = await setUp(folder, resident);
      await synchronise();
      const inbox = new MaildirFolder(join(folder, 'mail', 'INBOX'));
      expect(await inbox.listing()).toEqual((await resident.listing('INBOX')).sort());
      expect(await inbox.files()).toHaveLength(5);

      const before = await picture(resident, inbox);
      await synchronise();
      expect(await picture(resident, inbox)).toEqual(before);

      await inbox.flag('one', 'FS');
      await inbox.remove('two');
      await inbox.add(letter('written here', 6), 'S');
      await new MaildirFolder(join(folder, 'mail', 'made here')).create();
      await onlooker.mailboxOpen('INBOX');
      await onlooker.messageFlagsAdd('3', ['\\Answered', '\\Seen'], { uid: true });
      await onlooker.messageDelete('4', { uid: true });
      await onlooker.append('INBOX', letter('come in', 7), ['\\Flagged']);
      await synchronise();
      const converged = [
        'come in \\Flagged',
        'five',
        'one \\Flagged \\Seen',
        'three \\Answered \\Seen',
        'written here \\Seen',
      ];
      expect(await inbox.listing()).toEqual(converged);
      expect((await resident.listing('INBOX')).sort()).toEqual(converged);
      expect((await onlooker.list()).map(({ path }) => path)).toContain('made here');

      const after = await picture(resident, inbox);
      await synchronise();
      expect(await picture(resident, inbox)).toEqual(after);
    },
  );
});

describe.each(['mutt', 'neomutt'])('%s', (name) => {
  test.skipIf(!areInstalled(name, 'script'))('reads, flags, saves, deletes, goes on', async () => {
    const resident = await settleWith(name, 'one', 'two', 'three', 'four');
    const folder = await newFolder(name);
    const keys = [
      '<first-entry><display-message><exit>',
      '<next-entry><flag-message>',
      '<next-entry><save-message>=Archive<enter>',
      '<next-entry><delete-message>',
      '<sync-mailbox>',
      '<change-folder>=Archive<enter>',
      '<first-entry><display-message><exit><quit>',
    ];
    await writeFile(
      join(folder, 'muttrc'),
      `set folder = "imaps://localhost:${home.system.ports.imaps.port}/"
      set imap_user = "${resident.user}"
      set imap_pass = "${resident.password}"
      set ssl_ca_certificates_file = "${home.caFile}"
      set spoolfile = "+INBOX"
      set record = ""
      set resolve = no
      set sort = mailbox-order
      set quit = yes
      set delete = yes
      set move = no
      set wait_key = no
      set confirmappend = no
      set mark_old = no
      push "${keys.join('')}"
      `.replaceAll(/^ +/gm, ''),
    );
    // it wants a terminal
    const command = `${name} -n -F ${join(folder, 'muttrc')}`;
    await run('script', ['-qec', command, '/dev/null'], { env: { HOME: folder, TERM: 'xterm' } });
    expect(await resident.listing('INBOX')).toEqual(['one \\Seen', 'two \\Flagged']);
    expect(await resident.listing('Archive')).toEqual(['three \\Seen']);
  });
});
