/** Clients that people have, against the real service: imapflow, Python's imaplib, curl, mbsync, neomutt. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Account } from '@mail/store';
import { ImapFlow } from 'imapflow';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { PASSWORD, startTestServer, type TestServer } from './testing/test-server.ts';

const run = promisify(execFile);

/** A test that is skipped without a word proves nothing: where everything is checked, these must be there. */
const REQUIRED = process.env['CI'] === 'true' ? ['python3', 'curl'] : [];

function isInstalled(program: string, ...args: string[]): boolean {
  if (REQUIRED.includes(program)) return true;
  try {
    execFileSync(program, args.length > 0 ? args : ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

let server: TestServer;
let account: Account;
let folder = '';
let ca = '';
beforeAll(async () => {
  server = await startTestServer();
  folder = await mkdtemp(join(tmpdir(), 'concert-imap-clients-'));
  ca = join(folder, 'ca.pem');
  await writeFile(ca, server.trusted.join('\n'));
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  account = await server.addAccountWithMail();
});

const inboxOf = async ({ id }: Account): Promise<number> =>
  (await server.store.mailboxes.find(id, 'INBOX'))?.id ?? 0;

describe('imapflow', () => {
  async function open(port: number, secure: boolean): Promise<ImapFlow> {
    const client = new ImapFlow({
      host: 'localhost',
      port,
      secure,
      doSTARTTLS: !secure,
      auth: { user: account.address, pass: PASSWORD },
      tls: { ca: [...server.trusted] },
      logger: false,
    });
    await client.connect();
    onTestFinished(() => client.close());
    return client;
  }

  test.each(['starttls', 'tls'] as const)('a day with it over %s', async (mode) => {
    const client = await open(server.ports[mode], mode === 'tls');
    const boxes = await client.list();
    expect(boxes.find(({ specialUse }) => specialUse === '\\Sent')?.path).toBe('Sent');
    const created = await client.mailboxCreate(['Täglich', 'Büro & Co']);
    expect(created).toMatchObject({ path: 'Täglich/Büro & Co', created: true });

    const opened = await client.mailboxOpen('INBOX');
    expect(opened).toMatchObject({ exists: 3, readOnly: false, uidNext: 4 });
    const [first, second] = await client.fetchAll('1:2', {
      uid: true,
      flags: true,
      envelope: true,
      bodyStructure: true,
      internalDate: true,
      size: true,
      bodyParts: ['1', '2.1'],
      headers: ['subject'],
    });
    expect(first?.envelope?.subject).toBe('afternoon meeting');
    expect(second?.envelope?.subject).toBe('Bericht für März');
    expect(second?.bodyStructure?.childNodes?.map(({ type }) => type)).toEqual([
      'text/plain',
      'message/rfc822',
      'application/octet-stream',
    ]);
    expect(second?.bodyParts?.get('2.1')?.toString()).toBe('inner text');
    expect(second?.headers?.toString()).toContain('Subject: =?utf-8?q?Bericht');

    const { content } = await client.download('2', '1');
    const chunks: Buffer[] = [];
    for await (const chunk of content ?? []) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe('Grüße aus Köln');

    expect(await client.search({ header: { subject: 'März' } })).toEqual([2]);
    expect(await client.messageFlagsAdd('3', ['\\Flagged', '$Label'])).toBe(true);
    expect(await client.search({ flagged: true }, { uid: true })).toEqual([3]);
    const appended = await client.append('INBOX', 'Subject: new\r\n\r\nnew\r\n', ['\\Seen']);
    expect(appended).toMatchObject({ uid: 4 });
    expect(await client.messageCopy('1:2', 'Archive')).toMatchObject({
      uidMap: new Map([
        [1, 1],
        [2, 2],
      ]),
    });
    expect(await client.messageMove('4', 'Trash')).toMatchObject({ uidMap: new Map([[4, 1]]) });
    expect(await client.messageDelete('1')).toBe(true);
    expect(await client.status('INBOX', { messages: true, unseen: true })).toMatchObject({
      messages: 2,
      unseen: 2,
    });
    await client.logout();
  });

  test('enables IMAP4rev2 by itself, and has parts decoded', async () => {
    const client = await open(server.ports.tls, true);
    expect([...client.enabled].sort()).toEqual(['CONDSTORE', 'IMAP4REV2', 'UTF8=ACCEPT']);
    const content = Buffer.alloc(1_000_000, 'an attachment\0');
    const text = content.toString('base64').replaceAll(/.{76}/g, '$&\r\n');
    const head = 'Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n';
    await client.mailboxCreate('Anhänge');
    await client.append('Anhänge', head + text);
    await client.mailboxOpen('Anhänge');
    expect(await client.search({ subject: 'Müller' })).toEqual([]);
    expect(await client.search({ all: true })).toEqual([1]);
    const answer = await client.fetchOne('1', { bodyParts: ['1'] }, { binary: true });
    expect(answer && [...(answer.binaryParts ?? [])]).toEqual(['1']);
    const { content: pieces } = await client.download('1', '1', { binary: true });
    const downloaded: Buffer[] = [];
    for await (const piece of pieces ?? []) downloaded.push(piece);
    expect(Buffer.concat(downloaded).equals(content)).toBe(true);
    // it sends a literal8 where BINARY is announced
    const fields = 'Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n';
    expect(await client.append('Anhänge', Buffer.from(`${fields}a\0b\n`))).toMatchObject({
      uid: 2,
    });
    expect(await client.fetchOne('2', { bodyParts: ['1'] }, { binary: true })).toMatchObject({
      bodyParts: new Map([['1', Buffer.from('a\0b\n')]]),
    });
    expect(await client.mailboxRename('Anhänge', 'Beilagen')).toMatchObject({
      newPath: 'Beilagen',
    });
    await client.logout();
  });

  test('new mail comes while it idles', async () => {
    const client = await open(server.ports.tls, true);
    await client.mailboxOpen('INBOX');
    const idling = client.idle();
    const exists = new Promise<{ count: number }>((resolve) => client.once('exists', resolve));
    await server.store.messages.deliver([account.id], { raw: Buffer.from('Subject: x\r\n\r\n') });
    expect((await exists).count).toBe(4);
    await client.noop();
    await idling;
  });
});

const IMAPLIB = `
import imaplib, json, ssl, sys
user, password, port, tls_port, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
seen = {}
imap = imaplib.IMAP4('localhost', int(port), timeout=20)
imap.starttls(context)
imap.login(user, password)
seen['list'] = [line.decode() for line in imap.list()[1]][:2]
imap.create('work')
seen['select'] = imap.select('INBOX')
seen['search'] = imap.search(None, 'FROM', '"fred"')
seen['sort'] = imap.sort('(REVERSE DATE)', 'UTF-8', 'ALL')
seen['thread'] = imap.thread('REFERENCES', 'UTF-8', 'ALL')
seen['fetch'] = imap.fetch('3', '(FLAGS BODY.PEEK[])')[1][0]
imap.append('work', '(\\\\Seen)', imaplib.Time2Internaldate(0), b'Subject: hi\\n\\nhi\\n')
seen['status'] = imap.status('work', '(MESSAGES UIDNEXT)')[1]
imap.store('1', '+FLAGS', '\\\\Deleted')
seen['expunge'] = imap.expunge()
imap.close(); imap.logout()
imap = imaplib.IMAP4_SSL('localhost', int(tls_port), ssl_context=context, timeout=20)
imap.authenticate('PLAIN', lambda _: f'\\0{user}\\0{password}'.encode())
seen['left'] = imap.select('INBOX', readonly=True)
seen['uid'] = imap.uid('FETCH', '1:*', '(RFC822.SIZE)')[1]
imap.logout()
print(json.dumps(seen, default=lambda value: value.decode()))
`;

test.skipIf(!isInstalled('python3'))('imaplib', async () => {
  const { starttls, tls } = server.ports;
  const args = ['-c', IMAPLIB, account.address, PASSWORD, `${starttls}`, `${tls}`, ca];
  const { stdout } = await run('python3', args);
  expect(JSON.parse(stdout)).toEqual({
    list: ['(\\HasNoChildren) "/" INBOX', '(\\HasNoChildren \\Archive) "/" Archive'],
    select: ['OK', ['3']],
    search: ['OK', ['1']],
    sort: ['OK', ['3 2 1']],
    thread: ['OK', ['(1 2)(3)']],
    fetch: ['3 (FLAGS () BODY[] {25}', 'Subject: short\r\n\r\nshort\r\n'],
    status: ['work (MESSAGES 1 UIDNEXT 2)'],
    expunge: ['OK', ['1']],
    left: ['OK', ['2']],
    uid: ['1 (UID 2 RFC822.SIZE 962)', '2 (UID 3 RFC822.SIZE 25)'],
  });
});

test.skipIf(!isInstalled('curl'))('curl', async () => {
  const curl = async (...args: string[]): Promise<string> => {
    const common = ['--silent', '--show-error', '--max-time', '20', '--cacert', ca];
    const login = ['--user', `${account.address}:${PASSWORD}`];
    return (await run('curl', [...common, ...login, ...args])).stdout;
  };
  const imaps = `imaps://localhost:${server.ports.tls}`;
  const imap = `imap://localhost:${server.ports.starttls}`;
  expect(await curl('--ssl-reqd', `${imap}/INBOX;UID=3`)).toBe('Subject: short\r\n\r\nshort\r\n');
  expect(await curl(`${imaps}/INBOX;UID=2;SECTION=2.1`)).toBe('inner text');
  expect(await curl(imaps)).toContain('* LIST (\\HasNoChildren) "/" INBOX\r\n');
  expect(await curl(`${imaps}/INBOX?SUBJECT%20short`)).toBe('* SEARCH 3\r\n');
  const letter = join(folder, 'letter.eml');
  await writeFile(letter, 'Subject: up\r\n\r\nup\r\n');
  await curl('--upload-file', letter, `${imaps}/Sent`);
  expect(await curl(`${imaps}/Sent;MAILINDEX=1`)).toBe('Subject: up\r\n\r\nup\r\n');
});

test.skipIf(!isInstalled('mbsync'))('mbsync: both ways, and nothing the second time', async () => {
  const home = await mkdtemp(join(folder, 'mbsync-'));
  await mkdir(join(home, 'mail'));
  const config = join(home, 'mbsyncrc');
  await writeFile(
    config,
    [
      'IMAPAccount concert',
      'Host localhost',
      `Port ${server.ports.tls}`,
      `User ${account.address}`,
      `PassCmd "printf '${PASSWORD}'"`,
      'SSLType IMAPS',
      `CertificateFile ${ca}`,
      '',
      'IMAPStore far',
      'Account concert',
      '',
      'MaildirStore near',
      `Path ${home}/mail/`,
      `Inbox ${home}/mail/INBOX`,
      'SubFolders Verbatim',
      '',
      'Channel all',
      'Far :far:',
      'Near :near:',
      'Patterns *',
      'Create Both',
      'Expunge Both',
      'Sync All',
      'SyncState *',
      '',
    ].join('\n'),
  );
  const sync = () => run('mbsync', ['-V', '-c', config, '-a']);
  await sync();
  const inbox = join(home, 'mail', 'INBOX');
  const fresh = await readdir(join(inbox, 'new'));
  const read = await readdir(join(inbox, 'cur'));
  expect(fresh.length + read.length).toBe(3);
  const texts = await Promise.all([
    ...fresh.map((name) => readFile(join(inbox, 'new', name), 'utf8')),
    ...read.map((name) => readFile(join(inbox, 'cur', name), 'utf8')),
  ]);
  expect(texts.join('')).toContain('do you think we can meet');

  const highest = (await server.store.messages.list(await inboxOf(account))).highestModSeq;
  await sync();
  const again = await server.store.messages.list(await inboxOf(account));
  expect(again.highestModSeq).toBe(highest);
  expect(again.messages).toHaveLength(3);

  await writeFile(join(inbox, 'cur', 'local.1:2,FS'), 'Subject: from here\n\nfrom here\n');
  await sync();
  const { messages } = await server.store.messages.list(await inboxOf(account));
  expect(messages).toHaveLength(4);
  expect([...(messages.at(-1)?.flags ?? [])].sort()).toEqual(['\\Flagged', '\\Seen']);
});

const hasNeomutt = isInstalled('neomutt', '-v') && isInstalled('script');
test.skipIf(!hasNeomutt)('neomutt: reads, tags, moves', async () => {
  const home = await mkdtemp(join(folder, 'neomutt-'));
  const config = join(home, 'neomuttrc');
  await writeFile(
    config,
    [
      `set folder = "imaps://localhost:${server.ports.tls}/"`,
      `set imap_user = "${account.address}"`,
      `set imap_pass = "${PASSWORD}"`,
      `set certificate_file = "${ca}"`,
      'set resolve = no',
      'set spoolfile = "+INBOX"',
      'set sort = mailbox-order',
      'set quit = yes',
      'set delete = yes',
      'set wait_key = no',
      'set confirmappend = no',
      'set mark_old = no',
      // the first is flagged, the second goes to the archive, the third is read
      'push "<first-entry><flag-message><next-entry><save-message>=Archive<enter><last-entry><display-message><exit><quit>"',
      '',
    ].join('\n'),
  );
  // it wants a terminal
  const neomutt = `env HOME=${home} TERM=xterm neomutt -n -F ${config}`;
  await run('script', ['-qec', neomutt, '/dev/null'], { timeout: 20_000 });
  const { messages } = await server.store.messages.list(await inboxOf(account));
  expect(messages.map(({ uid, flags }) => [uid, flags.includes('\\Seen')])).toEqual([
    [1, true],
    [3, true],
  ]);
  expect(messages[0]?.flags).toContain('\\Flagged');
  const archive = await server.store.mailboxes.find(account.id, 'Archive');
  expect(await server.store.mailboxes.status(archive?.id ?? 0)).toMatchObject({ messages: 1 });
});
