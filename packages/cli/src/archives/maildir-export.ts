/**
 * Mailboxes into a Maildir++. A message is written in tmp and appears in cur under its name at once; one that
 * is there is left as it is but for its flags, so that an interrupted export goes on where it was.
 */
import { mkdir, readdir, rename, stat, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Mailbox, MailStore, MessageSummary } from '@mail/store';
import { replaceFile } from './archive-index.ts';
import { KeywordLetters, lettersFor } from './maildir-flags.ts';
import { baseName, parseOurName, splitInfo } from './maildir-names.ts';
import { OutputFile } from './output-file.ts';
import { isGone, storedMessages, storedPieces, writeWithLf } from './stored-octets.ts';
import type { WorkReport } from './work-report.ts';

/** Keywords for which there was no letter: "base keyword keyword". */
export const MORE_KEYWORDS_FILE = 'concert-keywords';

/** What tells a Maildir++ folder from the maildrop that it lies in. */
const FOLDER_MARK = 'maildirfolder';

/** `folder` is the mailbox's own, made where there is none. */
export async function exportToMaildir(
  store: MailStore,
  mailbox: Mailbox,
  folder: string,
  isInbox: boolean,
  report: WorkReport,
): Promise<void> {
  for (const name of ['cur', 'new', 'tmp']) {
    await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
  }
  if (!isInbox) await replaceFile(join(folder, FOLDER_MARK), '');
  const present = await listPresent(folder);
  const keywords = await KeywordLetters.read(folder);
  const more: string[] = [];
  for await (const message of storedMessages(store, mailbox.id)) {
    const base = baseName(mailbox.uidValidity, message);
    const { letters, left } = await lettersFor(message.flags, keywords);
    if (left.length > 0) more.push(`${base} ${left.join(' ')}\n`);
    try {
      const name = present.get(base);
      if (name !== undefined && (await isWhole(folder, name))) {
        const wanted = `${splitInfo(name).base}:2,${letters}`;
        if (wanted !== name) await rename(join(folder, 'cur', name), join(folder, 'cur', wanted));
        report.skipped += 1;
      } else {
        await writeMessage(store, mailbox, folder, message, base, letters);
        report.done += 1;
        report.octets += message.size;
      }
    } catch (error) {
      // expunged since it was listed
      if (!isGone(error)) report.fail(`${mailbox.name} UID ${message.uid}`, String(error));
    }
    report.pass(1);
  }
  await replaceFile(join(folder, MORE_KEYWORDS_FILE), more.join(''));
}

/** Ours, by what stays the same of their names. */
async function listPresent(folder: string): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const name of await readdir(join(folder, 'cur'))) {
    if (parseOurName(name) !== undefined)
      names.set(name.slice(0, name.indexOf('.concert') + 8), name);
  }
  return names;
}

/** A machine that lost its power may have kept the name and not the octets. */
async function isWhole(folder: string, name: string): Promise<boolean> {
  const size = parseOurName(name)?.size;
  return size !== undefined && (await stat(join(folder, 'cur', name))).size === size;
}

async function writeMessage(
  store: MailStore,
  mailbox: Mailbox,
  folder: string,
  message: MessageSummary,
  base: string,
  letters: string,
): Promise<void> {
  const tmp = join(folder, 'tmp', base);
  const file = await OutputFile.open(tmp);
  try {
    await writeWithLf(
      () => storedPieces(store, mailbox.id, message),
      (octets) => file.write(octets),
      () => file.backTo(0),
    );
  } catch (error) {
    await unlink(tmp);
    throw error;
  } finally {
    await file.close();
  }
  await utimes(tmp, message.internalDate, message.internalDate);
  // S is the file's size, W the one with CRLF line ends: Dovecot then need not read it to know
  const sizes = `S=${file.position},W=${file.position + file.bareLineEnds}`;
  await rename(tmp, join(folder, 'cur', `${base},${sizes}:2,${letters}`));
}
