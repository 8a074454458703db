/**
 * The written dialogues of transcripts/, each against the real service with an account of its own whose
 * INBOX holds testing/messages.ts. Those of before-login/ begin with the greeting, others logged in; a line
 * "# limits: ..." is the account's quota; "# shared: ..." shares mailboxes of another account, <other>, by rights.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Account } from '@mail/store';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from './commands/index.ts';
import { INBOX_MESSAGES } from './testing/messages.ts';
import { startTestServer, type TestServer } from './testing/test-server.ts';

const FOLDER = new URL('./transcripts/', import.meta.url);
const LOG_IN = `
S: * OK [CAPABILITY <any>
C: login LOGIN <user> "<password>"
S: login OK [CAPABILITY <any>
`;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ CONCERT_MAX_MESSAGE_SIZE: '100KiB' });
});
afterAll(() => server.close());

function transcripts(folder: URL): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.txt'));
}

/** One character an octet, as dialogues are spoken: what is UTF-8 in the file is UTF-8 on the wire. */
function readTranscript(file: URL): string {
  return readFileSync(file, 'latin1');
}

/** The account that shares what `text` says, with the mail of testing/messages.ts in each mailbox. */
async function share(text: string, { id }: Account): Promise<Account | undefined> {
  const shared = [...text.matchAll(/^# shared: (\S+) (\w+)$/gm)];
  if (shared.length === 0) return undefined;
  const { mailboxes, messages, sharing } = server.store;
  const owner = await server.addAccount();
  for (const [, name = '', rights = ''] of shared) {
    const mailbox =
      (await mailboxes.find(owner.id, name)) ?? (await mailboxes.create(owner.id, name));
    await messages.append(mailbox.id, INBOX_MESSAGES);
    await sharing.change(mailbox.id, id, 'replace', rights === 'none' ? '' : rights);
  }
  return owner;
}

describe('logged in', () => {
  test.each(transcripts(FOLDER))('%s', async (name) => {
    const account = await server.addAccountWithMail();
    const text = readTranscript(new URL(name, FOLDER));
    const [, octets, messages] = /^# limits: (\d+) octets, (\d+) messages$/m.exec(text) ?? [];
    if (octets !== undefined) {
      const limits = { octets: Number(octets), messages: Number(messages) };
      await server.store.quotas.change(account.id, limits);
    }
    await server.run(LOG_IN + text, account, 'plain', await share(text, account));
  });
});

describe('before login', () => {
  const folder = new URL('before-login/', FOLDER);
  test.each(transcripts(folder))('%s', async (name) => {
    const account = await server.addAccount();
    // each names the port that it is about
    const text = readTranscript(new URL(name, folder));
    const port = /^# port: (starttls|tls|plain)$/m.exec(text)?.[1] as keyof TestServer['ports'];
    await server.run(text, account, port);
  });
});

describe('all of them', () => {
  const names = [
    ...transcripts(FOLDER),
    ...transcripts(new URL('before-login/', FOLDER)).map((name) => `before-login/${name}`),
  ];
  const texts = names.map((name) => readTranscript(new URL(name, FOLDER)));

  test.each([...COMMANDS.keys()])('show %s answered where it may come', (verb) => {
    // SETQUOTA is refused whatever it says
    const said = new RegExp(`^C: (\\S+) ${verb}(?: |$)[^]*?^S: \\1 (?:OK|NO) `, 'm');
    expect(texts.some((text) => said.test(text))).toBe(true);
  });

  test.each([...COMMANDS.keys()].filter((verb) => COMMANDS.get(verb)?.states.length !== 3))(
    'show %s where it may not come',
    (verb) => {
      const refused = new RegExp(
        `^C: (\\S+) ${verb}(?: |$)[^]*?^S: \\1 BAD Not in this state$`,
        'm',
      );
      expect(texts.some((text) => refused.test(text))).toBe(true);
    },
  );

  test.each(names.map((name, index) => [name, texts[index]]))('%s cites an RFC', (_, text) => {
    expect(text).toMatch(/^# .*RFC \d{4}/m);
  });
});
