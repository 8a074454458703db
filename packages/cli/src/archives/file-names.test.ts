import { parseMailboxName } from '@mail/store';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  foldName,
  freeName,
  isSafeName,
  mailboxOfFolder,
  maildirFolder,
  quoteName,
  unquoteName,
} from './file-names.ts';
import { oddName } from './testing/odd-messages.ts';

const mailboxName = oddName
  .map((name) => parseMailboxName(name))
  .filter((name) => name !== undefined);

describe('names of files for mailboxes', () => {
  it.each([
    ['INBOX', '', 'INBOX'],
    ['Sent', '.Sent', 'Sent'],
    ['Work/Old', '.Work.Old', 'Work%2FOld'],
    ['Entwürfe', '.Entw&APw-rfe', 'Entwürfe'],
    ['a.b', '.a&AC4-b', 'a.b'],
    ['..', '.&AC4-&AC4-', '%2E%2E'],
    ['INBOX/x', '.INBOX.x', 'INBOX%2Fx'],
    ['a:b%', '.a:b%', 'a%3Ab%25'],
  ])('%j is %j in a Maildir++ and %j else', (mailbox, folder, quoted) => {
    expect(maildirFolder(mailbox)).toBe(folder);
    expect(mailboxOfFolder(folder)).toBe(mailbox);
    expect(quoteName(mailbox)).toBe(quoted);
    expect(unquoteName(quoted)).toBe(mailbox);
  });

  it('are read where others wrote them in UTF-8', () => {
    expect(mailboxOfFolder('.Entwürfe.&x')).toBe('Entwürfe/&x');
  });

  it('stay inside, fit, and lead back unless they are long', () => {
    fc.assert(
      fc.property(mailboxName, (mailbox) => {
        const folder = maildirFolder(mailbox);
        if (folder !== '') {
          expect(isSafeName(folder)).toBe(true);
          expect(folder).toMatch(/^\.[^./]/);
        }
        if (!folder.startsWith('.long-')) expect(mailboxOfFolder(folder)).toBe(mailbox);
        const quoted = quoteName(mailbox);
        expect(isSafeName(`${quoted}.mbox`)).toBe(true);
        if (!quoted.startsWith('long-')) expect(unquoteName(quoted)).toBe(mailbox);
      }),
      { numRuns: 2_000 },
    );
  });

  it('are never alike, even where case is ignored', () => {
    fc.assert(
      fc.property(fc.uniqueArray(mailboxName, { maxLength: 12 }), (mailboxes) => {
        for (const write of [maildirFolder, quoteName]) {
          const taken = new Set<string>();
          for (const mailbox of mailboxes) {
            const name = freeName(write(mailbox), mailbox, taken);
            expect(taken.has(foldName(name))).toBe(false);
            expect(name === '' || isSafeName(name)).toBe(true);
            taken.add(foldName(name));
          }
          expect(taken.size).toBe(mailboxes.length);
        }
      }),
      { numRuns: 500 },
    );
  });
});
