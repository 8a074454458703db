import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { parseMailboxName } from '@mail/store';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exportToMaildir } from './maildir-export.ts';
import { ArchiveBench } from './testing/archive-bench.ts';
import { oddMessage, oddName } from './testing/odd-messages.ts';
import { WorkReport } from './work-report.ts';

const KEYWORDS = Array.from({ length: 30 }, (_, index) => `Keyword${index}`);
const FLAGS = [
  '\\Seen',
  '\\Answered',
  '\\Flagged',
  '\\Deleted',
  '\\Draft',
  '$Forwarded',
  ...KEYWORDS,
];

const message = fc.record({
  raw: oddMessage,
  flags: fc.uniqueArray(fc.constantFrom(...FLAGS), { maxLength: 8 }),
  // files know times from 1901 to 2446
  internalDate: fc.date({
    min: new Date('1902-01-01'),
    max: new Date('2400-01-01'),
    noInvalidDate: true,
  }),
});
const mailboxName = oddName
  .map((name) => parseMailboxName(name))
  .filter((name) => name !== undefined);
const mail = fc.array(
  fc.record({ mailbox: mailboxName, messages: fc.array(message, { maxLength: 12 }) }),
  { minLength: 3, maxLength: 12 },
);

let bench: ArchiveBench;
beforeEach(async () => {
  bench = await ArchiveBench.open();
});
afterEach(() => bench.close());

describe.each(['maildir', 'mbox'])('mail that goes out and comes in again as %s', (format) => {
  it('is the same: mailboxes, octets, flags, keywords, dates; also a second time', async () => {
    let number = 0;
    await fc.assert(
      fc.asyncProperty(mail, async (mailboxes) => {
        number += 1;
        const from = await bench.addAccount(`from${number}`);
        const to = await bench.addAccount(`to${number}`);
        for (const { mailbox, messages } of mailboxes) {
          await bench.store.messages.append(await bench.mailbox(from, mailbox), messages);
        }
        const count = mailboxes.reduce((sum, { messages }) => sum + messages.length, 0);
        const folder = bench.path(`out${number}`);
        const out = ['export', from.address, '--to', folder, '--format', format];
        const back = ['import', to.address, '--from', folder, '--format', format];
        expect(await bench.run(...out)).toMatchObject({ code: 0, json: { exported: count } });
        expect(await bench.run(...back)).toMatchObject({ code: 0, json: { imported: count } });
        expect(await bench.read(to)).toEqual(await bench.read(from));
        expect(await bench.run(...out)).toMatchObject({ json: { exported: 0, present: count } });
        expect(await bench.run(...back)).toMatchObject({ json: { imported: 0, present: count } });
        expect(await bench.read(to)).toEqual(await bench.read(from));
        const uses = async (id: number) =>
          (await bench.store.mailboxes.list(id)).map((each) => [each.name, each.specialUse]);
        expect(await uses(to.id)).toEqual(await uses(from.id));
      }),
      // each takes four runs of the command
      { numRuns: 3 },
    );
  });

  it('goes on where it was interrupted, and doubles nothing', async () => {
    const from = await bench.addAccount('from');
    const to = await bench.addAccount('to');
    const inbox = await bench.mailbox(from, 'INBOX');
    const raws = Array.from({ length: 240 }, (_, n) =>
      Buffer.from(`Subject: ${n % 200}\r\n\r\nx\r\n`),
    );
    await bench.store.messages.append(
      inbox,
      raws.map((raw) => ({ raw })),
    );
    const folder = bench.path('out');
    await bench.run(
      'export',
      from.address,
      '--to',
      folder,
      '--format',
      format,
      '--mailbox',
      'INBOX',
    );
    if (format === 'maildir') {
      for (const name of (await readdir(`${folder}/cur`)).slice(100))
        await unlink(`${folder}/cur/${name}`);
      // the name is there, and the octets were lost with the power
      for (const name of await readdir(`${folder}/cur`)) await truncate(`${folder}/cur/${name}`, 3);
    } else {
      // whole up to here, by what is noted
      const noted = JSON.parse(await readFile(`${folder}/INBOX.mbox.progress`, 'utf8'));
      const text = await readFile(`${folder}/INBOX.mbox`, 'latin1');
      const octets = text.indexOf('From MAILER-DAEMON', text.length / 2);
      const uid = text.slice(0, octets).match(/^X-Concert-Export/gm)?.length;
      await writeFile(`${folder}/INBOX.mbox.progress`, JSON.stringify({ ...noted, octets, uid }));
      await truncate(`${folder}/INBOX.mbox`, octets + 20);
    }
    await bench.run(
      'export',
      from.address,
      '--to',
      folder,
      '--format',
      format,
      '--mailbox',
      'INBOX',
    );
    const back = ['import', to.address, '--from', folder, '--format', format];
    // some came before it died, and one was moved by its owner since
    await bench.run(...back);
    const target = await bench.mailbox(to, 'INBOX');
    await bench.store.messages.move(target, [3], await bench.mailbox(to, 'Archive'));
    expect(await bench.run(...back)).toMatchObject({ json: { imported: 0, present: 240 } });
    const { INBOX = [], Archive = [] } = await bench.read(to);
    const subjects = [...INBOX, ...Archive].map(({ raw }) => raw).sort();
    expect(subjects).toEqual(raws.map(String).sort());
    expect(await bench.run(...back, '--force')).toMatchObject({ json: { imported: 240 } });
  });
});

describe('an export', () => {
  it('takes up flags that have changed, and leaves messages out that are gone', async () => {
    const from = await bench.addAccount('from');
    const inbox = await bench.mailbox(from, 'INBOX');
    await bench.store.messages.append(inbox, [
      { raw: Buffer.from('a\r\n') },
      { raw: Buffer.from('b') },
    ]);
    const folder = bench.path('out');
    await bench.run('export', from.address, '--to', folder);
    await bench.store.messages.changeFlags(inbox, [1], 'add', ['\\Flagged', 'urgent']);
    await bench.run('export', from.address, '--to', folder);
    const names = (await readdir(`${folder}/cur`)).map((name) =>
      name.slice(name.indexOf('.concert')),
    );
    expect(names.sort()).toEqual(['.concert,S=1,W=1:2,', '.concert,S=2,W=3:2,Fa']);
    expect(await readFile(`${folder}/dovecot-keywords`, 'utf8')).toBe('0 urgent\n');
  });

  it('writes everybody into a folder of his own, and does not write over what is there', async () => {
    await bench.addAccount('a');
    const { address } = await bench.addAccount('b');
    const all = ['export', '--all', '--to', bench.path('all'), '--format', 'mbox'];
    expect(await bench.run(...all)).toMatchObject({ code: 0 });
    expect((await readdir(bench.path('all'))).sort()).toEqual(['a@x.test', 'b@x.test']);
    await mkdir(bench.path('other'));
    await writeFile(bench.path('other', 'INBOX.mbox'), 'precious');
    const over = ['export', address, '--to', bench.path('other'), '--format', 'mbox'];
    expect(await bench.run(...over)).toMatchObject({ code: 2, json: { error: { code: 'usage' } } });
    expect(await readFile(bench.path('other', 'INBOX.mbox'), 'utf8')).toBe('precious');
  });

  it.each([
    [['export', '--to', 'x'], 2],
    [['export', 'a@x.test', '--all', '--to', 'x'], 2],
    [['export', 'nobody@x.test', '--to', 'x'], 3],
    [['export', 'a@x.test', '--to', 'x', '--mailbox', 'Nowhere'], 3],
    [['export', 'a@x.test', '--to', 'x', '--format', 'tar'], 2],
    [['import', 'a@x.test', '--from', '/nowhere'], 2],
    [['import', 'nobody@x.test', '--from', import.meta.filename, '--format', 'mbox'], 3],
  ])('or import with %j ends with %i', async (args, code) => {
    await bench.addAccount('a');
    expect((await bench.run(...args)).code).toBe(code);
  });

  it('ends a message that its owner expunges in the middle without a fault', async () => {
    const from = await bench.addAccount('from');
    const inbox = await bench.mailbox(from, 'INBOX');
    await bench.store.messages.append(inbox, [
      { raw: Buffer.from('a\r\n') },
      { raw: Buffer.from('b\r\n') },
    ]);
    const [mailbox] = await bench.store.mailboxes.list(from.id);
    if (mailbox === undefined) throw new Error('an account has an INBOX');
    const report = new WorkReport({
      err: () => {},
      interactive: false,
      now: () => new Date(),
    } as never);
    const store = {
      ...bench.store,
      messages: {
        ...bench.store.messages,
        read: async () => {
          throw Object.assign(
            new (await import('@mail/store')).StoreError('no-such-message', 'gone'),
          );
        },
      },
    };
    await exportToMaildir(store, mailbox, bench.path('out'), true, report);
    expect(report).toMatchObject({ done: 0, failed: 0 });
    expect(await readdir(bench.path('out', 'tmp'))).toEqual([]);
  });
});

describe('an import of what strangers wrote', () => {
  it('follows no link and opens nothing but files, and brings the rest', async () => {
    const to = await bench.addAccount('to');
    const maildir = bench.path('Maildir');
    for (const sub of ['cur', 'new', '.Spam/cur', '.W&APw-rfel/new', '.utf-ä/cur']) {
      await mkdir(`${maildir}/${sub}`, { recursive: true });
    }
    await writeFile(bench.path('secret'), 'secret');
    await symlink(bench.path('secret'), `${maildir}/cur/1.link:2,S`);
    await symlink(bench.folder, `${maildir}/.Link`);
    execFileSync('mkfifo', [`${maildir}/cur/2.pipe:2,`]);
    await writeFile(`${maildir}/cur/3.good:2,FRSPz`, 'Subject: three\n\nbody\n');
    await writeFile(`${maildir}/new/4.new`, 'Subject: four\n\nbody');
    await writeFile(`${maildir}/.Spam/cur/5.x;2,`, 'spam\n');
    await writeFile(`${maildir}/.utf-ä/cur/6.x`, 'x\n');
    const { code, json } = await bench.run('import', to.address, '--from', maildir);
    expect(code).toBe(1);
    expect(json).toMatchObject({ imported: 4, failed: 2 });
    expect(json['failures']).toEqual([
      { where: 'INBOX, 1.link:2,S', why: 'is a symbolic link, which is not followed' },
      { where: 'INBOX, 2.pipe:2,', why: 'is no plain file' },
    ]);
    const read = await bench.read(to);
    expect(read['INBOX']?.map(({ raw, flags }) => [raw, flags])).toEqual([
      ['Subject: three\r\n\r\nbody\r\n', ['\\Seen', '\\Answered', '\\Flagged', '$Forwarded']],
      ['Subject: four\r\n\r\nbody', []],
    ]);
    expect(Object.keys(read)).toEqual(expect.arrayContaining(['Spam', 'Würfel', 'utf-ä']));
  });

  it('takes an mbox as other programs write it', async () => {
    const to = await bench.addAccount('to');
    const file = bench.path('Old mail.mbox');
    const text = [
      '',
      'From alice@x.test Sat Jan  3 10:11:12 2026',
      'Subject: one',
      'Status: RO',
      'X-Status: AF',
      'X-Keywords: work',
      ' more',
      'X-UID: 7',
      '',
      'first',
      '>From here on',
      '',
      'From now on it is text, since no time is told',
      '',
      'From - Mon Nov 23 10:11:12 2026',
      'Subject: two',
      '',
      'second',
    ].join('\n');
    await writeFile(file, text);
    const from = ['import', to.address, '--from', file, '--format', 'mbox'];
    expect(await bench.run(...from)).toMatchObject({ code: 0, json: { imported: 2 } });
    await bench.run(...from, '--into', 'Kept/Here');
    const read = await bench.read(to);
    expect(read['Old mail']).toEqual([
      {
        raw: 'Subject: one\r\n\r\nfirst\r\nFrom here on\r\n\r\nFrom now on it is text, since no time is told\r\n',
        flags: ['\\Seen', '\\Answered', '\\Flagged', 'work'],
        date: Date.UTC(2026, 0, 3, 10, 11, 12),
      },
      { raw: 'Subject: two\r\n\r\nsecond', flags: [], date: Date.UTC(2026, 10, 23, 10, 11, 12) },
    ]);
    expect(read['Kept/Here']).toEqual(read['Old mail']);
  });

  it('ends where the account is full, and goes on when it has more room', async () => {
    const to = await bench.addAccount('to');
    await bench.store.quotas.change(to.id, { messages: 150 });
    const file = bench.path('many.mbox');
    const one = (number: number): string =>
      `From a@x.test Sat Jan  3 10:11:12 2026\nSubject: ${number}\n\nx\n\n`;
    await writeFile(file, Array.from({ length: 220 }, (_, number) => one(number)).join(''));
    const from = ['import', to.address, '--from', file, '--format', 'mbox', '--into', 'Many'];
    expect(await bench.run(...from)).toMatchObject({
      code: 1,
      json: { error: { code: 'refused' } },
    });
    await bench.store.quotas.change(to.id, { messages: 'none' });
    expect(await bench.run(...from)).toMatchObject({
      code: 0,
      json: { imported: 120, present: 100 },
    });
  });

  it('says that a file is no mbox, and what index is none', async () => {
    const to = await bench.addAccount('to');
    await mkdir(bench.path('in'));
    await writeFile(bench.path('in', 'letter.txt'), 'Dear Alice');
    const from = ['import', to.address, '--from', bench.path('in'), '--format', 'mbox'];
    const { code, json } = await bench.run(...from);
    expect(code).toBe(1);
    expect(json).toMatchObject({
      failed: 1,
      failures: [{ why: expect.stringContaining('no mbox') }],
    });
    const index = [
      { mailbox: 'x', name: '../../x', uidValidity: 1, specialUse: null, subscribed: true },
    ];
    await writeFile(bench.path('in', 'concert-mailboxes.json'), JSON.stringify(index));
    expect(await bench.run(...from)).toMatchObject({ code: 2 });
  });
});
