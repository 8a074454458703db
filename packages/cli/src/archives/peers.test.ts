/** Our Maildir as Dovecot and mbsync read it, and a Maildir that Dovecot wrote as we do. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ArchiveBench } from './testing/archive-bench.ts';

/** Dovecot serves no mail to root. */
const NOBODY = 65_534;

function isMissing(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return false;
  } catch {
    console.warn(`skipped: ${program} is not installed`);
    return true;
  }
}

let bench: ArchiveBench;
beforeEach(async () => {
  bench = await ArchiveBench.open();
  chmodSync(bench.folder, 0o755);
});
afterEach(() => bench.close());

/** An account with mail in two mailboxes, exported. */
async function exportSome(): Promise<string> {
  const from = await bench.addAccount('from');
  const append = async (
    mailbox: string,
    raw: string,
    flags: readonly string[],
    date: string,
  ): Promise<void> => {
    const internalDate = new Date(date);
    const message = { raw: Buffer.from(raw), flags, internalDate };
    await bench.store.messages.append(await bench.mailbox(from, mailbox), [message]);
  };
  await append(
    'INBOX',
    'Subject: one\r\n\r\nFrom here\r\n',
    ['\\Seen', 'work'],
    '2020-02-02T02:02:02Z',
  );
  await append('INBOX', 'Subject: two\r\n\r\nno end', ['\\Flagged'], '2021-03-03T03:03:03Z');
  await append('Entwürfe/Alte', 'Subject: three\r\n\r\nx\r\n', ['\\Draft'], '2022-04-04T04:04:04Z');
  const folder = bench.path('out');
  expect(await bench.run('export', from.address, '--to', folder)).toMatchObject({ code: 0 });
  return folder;
}

function giveAway(path: string): void {
  if (process.getuid?.() !== 0) return;
  chownSync(path, NOBODY, NOBODY);
  for (const entry of readdirSync(path, { withFileTypes: true, recursive: true })) {
    chownSync(join(entry.parentPath, entry.name), NOBODY, NOBODY);
  }
}

/** What Dovecot answers to commands, over standard input and output. */
async function askDovecot(maildir: string, commands: readonly string[]): Promise<string> {
  const home = bench.path('dovecot');
  mkdirSync(join(home, 'run'), { recursive: true });
  mkdirSync(maildir, { recursive: true });
  const settings = [
    `base_dir = ${home}/run`,
    `mail_location = maildir:${maildir}`,
    `log_path = ${home}/log`,
    ...['protocols = imap', 'ssl = no', 'maildir_stat_dirs = no'],
    ...['default_internal_user = nobody', 'default_login_user = nobody'],
    'default_internal_group = nogroup',
  ];
  writeFileSync(join(home, 'dovecot.conf'), `${settings.join('\n')}\n`);
  giveAway(home);
  giveAway(maildir);
  const server = spawn('doveadm', ['-c', join(home, 'dovecot.conf'), 'exec', 'imap'], {
    env: { PATH: process.env['PATH'], HOME: home, USER: 'nobody' },
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: 60_000,
    ...(process.getuid?.() === 0 && { uid: NOBODY, gid: NOBODY }),
  });
  let told = '';
  server.stdout.setEncoding('latin1').on('data', (text: string) => {
    told += text;
  });
  server.stdin.on('error', () => undefined);
  const lines = [...commands, 'LOGOUT'].map((command, at) => `t${at} ${command}\r\n`);
  server.stdin.write(lines.join(''), 'latin1');
  await once(server, 'close');
  for (const at of lines.keys()) expect(told).toContain(`t${at} OK`);
  return told;
}

test.skipIf(isMissing('dovecot', '--version'))('Dovecot reads what we wrote', async () => {
  const folder = await exportSome();
  const told = await askDovecot(folder, [
    'LIST "" *',
    'LSUB "" *',
    'SELECT INBOX',
    'FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])',
    'SELECT "Entw&APw-rfe.Alte"',
    'FETCH 1:* (FLAGS BODY.PEEK[])',
  ]);
  for (const name of ['Sent', 'Archive', '"?Entw&APw-rfe.Alte"?']) {
    expect(told).toMatch(new RegExp(`^\\* LIST \\([^)]*\\) "\\." ${name}\r$`, 'm'));
  }
  expect(told).toMatch(/^\* LSUB \([^)]*\) "\." Drafts\r$/m);
  expect(told).toMatch(
    /\* 1 FETCH \(FLAGS \(\\Seen \\Recent work\) INTERNALDATE "02-Feb-2020 02:02:02 \+0000" RFC822\.SIZE 27 BODY\[\] \{27\}\r\nSubject: one\r\n\r\nFrom here\r\n\)/,
  );
  expect(told).toMatch(
    /\* 2 FETCH \(FLAGS \(\\Flagged \\Recent\) .* \{22\}\r\nSubject: two\r\n\r\nno end\)/,
  );
  expect(told).toMatch(
    /\* 1 FETCH \(FLAGS \(\\Draft \\Recent\) BODY\[\] \{21\}\r\nSubject: three\r\n\r\nx\r\n\)/,
  );
});

test.skipIf(isMissing('dovecot', '--version'))('we read what Dovecot wrote', async () => {
  const maildir = bench.path('theirs');
  const append = (mailbox: string, flags: string, date: string, raw: string): string =>
    `APPEND "${mailbox}" (${flags}) "${date}" {${raw.length}+}\r\n${raw}`;
  await askDovecot(maildir, [
    'CREATE "Entw&APw-rfe.Alte"',
    'SUBSCRIBE "Entw&APw-rfe.Alte"',
    'CREATE Other',
    append('INBOX', '\\Seen work', '02-Feb-2020 02:02:02 +0000', 'Subject: one\r\n\r\n1\r\n'),
    append('INBOX', '\\Answered', '03-Mar-2021 03:03:03 +0100', 'Subject: two\r\n\r\n2\r\n'),
    append('Entw&APw-rfe.Alte', '\\Draft later work', '04-Apr-2022 04:04:04 +0000', 'x\r\n'),
  ]);
  const to = await bench.addAccount('to');
  expect(await bench.run('import', to.address, '--from', maildir)).toMatchObject({
    code: 0,
    json: { imported: 3, failed: 0 },
  });
  expect(await bench.read(to)).toMatchObject({
    INBOX: [
      {
        raw: 'Subject: one\r\n\r\n1\r\n',
        flags: ['\\Seen', 'work'],
        date: Date.UTC(2020, 1, 2, 2, 2, 2),
      },
      {
        raw: 'Subject: two\r\n\r\n2\r\n',
        flags: ['\\Answered'],
        date: Date.UTC(2021, 2, 3, 2, 3, 3),
      },
    ],
    'Entwürfe/Alte': [{ raw: 'x\r\n', flags: ['\\Draft', 'later', 'work'] }],
    Other: [],
  });
  const subscribed = await bench.store.mailboxes.subscriptions(to.id);
  expect(subscribed).toContain('Entwürfe/Alte');
  expect(subscribed).not.toContain('Other');
});

test.skipIf(isMissing('mbsync', '--version'))('mbsync copies what we wrote, twice', async () => {
  const folder = await exportSome();
  const copy = bench.path('copy');
  mkdirSync(copy);
  const store = (name: string, path: string): string[] => [
    ...[`MaildirStore ${name}`, `Inbox ${path}`, 'SubFolders Maildir++', ''],
  ];
  const channel = ['Channel copy', 'Far :ours:', 'Near :copy:', 'Patterns * INBOX'];
  const settings = [
    ...[...store('ours', folder), ...store('copy', copy), ...channel],
    ...['Create Near', 'Sync Pull', 'CopyArrivalDate yes', 'SyncState *', ''],
  ];
  writeFileSync(bench.path('mbsyncrc'), settings.join('\n'));
  for (let round = 0; round < 2; round += 1) {
    execFileSync('mbsync', ['-c', bench.path('mbsyncrc'), '-a', '-q']);
  }
  const to = await bench.addAccount('to');
  await bench.run('import', to.address, '--from', copy);
  const read = Object.entries(await bench.read(to)).flatMap(([mailbox, messages]) =>
    messages.map(({ raw, flags, date }) => ({
      mailbox,
      // by which mbsync finds what it has copied
      raw: raw.replace(/^X-TUID: .*\r\n/m, ''),
      flags,
      date,
    })),
  );
  // without dovecot-keywords, which mbsync does not know
  expect(read).toEqual([
    {
      mailbox: 'INBOX',
      raw: 'Subject: one\r\n\r\nFrom here\r\n',
      flags: ['\\Seen'],
      date: Date.UTC(2020, 1, 2, 2, 2, 2),
    },
    {
      mailbox: 'INBOX',
      raw: 'Subject: two\r\n\r\nno end',
      flags: ['\\Flagged'],
      date: Date.UTC(2021, 2, 3, 3, 3, 3),
    },
    {
      mailbox: 'Entwürfe/Alte',
      raw: 'Subject: three\r\n\r\nx\r\n',
      flags: ['\\Draft'],
      date: Date.UTC(2022, 3, 4, 4, 4, 4),
    },
  ]);
  // what mbsync did to the names of our files does not hide them
  const again = await bench.run('export', 'from@x.test', '--to', folder);
  expect(again.json).toMatchObject({ exported: 0, present: 3 });
});
