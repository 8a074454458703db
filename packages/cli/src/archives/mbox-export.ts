/**
 * A mailbox into one mbox file, in which a line that begins a message is "From ..." and those of its text
 * that look like one get a ">" in front (mboxrd). A file beside it tells up to which UID and octet it is
 * whole, so that an interrupted export goes on there, and a later one adds what is new.
 */
import { readFile, stat } from 'node:fs/promises';
import type { Mailbox, MailStore, MessageSummary } from '@mail/store';
import { CliError } from '../errors.ts';
import { replaceFile } from './archive-index.ts';
import { FromQuoter } from './from-lines.ts';
import { exportHeader } from './mbox-headers.ts';
import { OutputFile } from './output-file.ts';
import { isGone, storedMessages, storedPieces, writeWithLf } from './stored-octets.ts';
import type { WorkReport } from './work-report.ts';

/** Between two notes of how far it is, each of which waits for the disk. */
const NOTE_EVERY = 1_000;

interface Progress {
  readonly uidValidity: number;
  readonly uid: number;
  readonly octets: number;
}

export async function exportToMbox(
  store: MailStore,
  mailbox: Mailbox,
  path: string,
  report: WorkReport,
): Promise<void> {
  const noted = await readProgress(path, mailbox);
  const { messages } = await store.mailboxes.status(mailbox.id);
  const file = await OutputFile.open(path, noted.octets);
  let uid = noted.uid;
  let count = 0;
  const note = async (): Promise<void> => {
    await file.sync();
    const progress: Progress = { ...noted, uid, octets: file.position };
    await replaceFile(progressPath(path), `${JSON.stringify(progress)}\n`);
  };
  try {
    for await (const message of storedMessages(store, mailbox.id, noted.uid)) {
      const start = file.position;
      try {
        await writeMessage(store, mailbox, file, message);
        report.done += 1;
        report.octets += message.size;
      } catch (error) {
        await file.backTo(start);
        // expunged since it was listed
        if (!isGone(error)) report.fail(`${mailbox.name} UID ${message.uid}`, String(error));
      }
      ({ uid } = message);
      report.pass(1);
      count += 1;
      if (count % NOTE_EVERY === 0) await note();
    }
    await note();
  } finally {
    await file.close();
  }
  report.skipped += Math.max(0, messages - count);
  report.pass(Math.max(0, messages - count));
}

function progressPath(path: string): string {
  return `${path}.progress`;
}

async function readProgress(path: string, mailbox: Mailbox): Promise<Progress> {
  const present = await stat(path).catch(() => undefined);
  if (present === undefined) return { uidValidity: mailbox.uidValidity, uid: 0, octets: 0 };
  let noted: Partial<Progress> = {};
  try {
    noted = JSON.parse(await readFile(progressPath(path), 'utf8')) as Partial<Progress>;
  } catch {
    // none: then the file is somebody else's, or was never noted
  }
  const { uidValidity, uid, octets } = noted;
  const ours = uidValidity === mailbox.uidValidity && typeof uid === 'number';
  if (!ours || typeof octets !== 'number' || octets > present.size) {
    throw new CliError('usage', `${path} is there and is no export of this mailbox`, {
      remedy: 'Move it away, or export to another folder.',
    });
  }
  return { uidValidity, uid, octets };
}

async function writeMessage(
  store: MailStore,
  mailbox: Mailbox,
  file: OutputFile,
  message: MessageSummary,
): Promise<void> {
  await file.write(Buffer.from(exportHeader(message)));
  const start = file.position;
  let quoter = new FromQuoter();
  let last = 0x0a;
  await writeWithLf(
    () => storedPieces(store, mailbox.id, message),
    async (octets) => {
      const quoted = quoter.quote(octets);
      last = quoted.at(-1) ?? last;
      await file.write(quoted);
    },
    async () => {
      quoter = new FromQuoter();
      last = 0x0a;
      await file.backTo(start);
    },
  );
  const rest = quoter.end();
  last = rest.at(-1) ?? last;
  await file.write(rest);
  // an empty line parts messages, and a line has an end
  await file.write(Buffer.from(last === 0x0a ? '\n' : '\n\n'));
}
