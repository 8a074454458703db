/** imapflow against the real service. (Other clients live on whole systems: tests/clients.test.ts.) */
import type { Account } from '@mail/store';
import { ImapFlow } from 'imapflow';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { PASSWORD, startTestServer, type TestServer } from './testing/test-server.ts';

let server: TestServer;
let account: Account;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());
beforeEach(async () => {
  account = await server.addAccountWithMail();
});

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
