/**
 * Brings messages of an archive into one mailbox, a few at a time. A message is known by its octets, and by
 * how many the same came before it, so that whatever ends an import, the next one goes on with what is
 * missing; the store sees to it that none comes twice.
 */
import { type KeyedMessage, type MailboxId, type MailStore, StoreError } from '@mail/store';
import { CliError } from '../errors.ts';
import type { ArchivedMessage } from './mbox-reader.ts';
import type { WorkReport } from './work-report.ts';

/** Messages that share a write and so a flush of the disk. */
const BATCH = { messages: 100, octets: 4 * 1024 * 1024 };

/** What the store refuses of one message, which says nothing of the others. */
const REFUSALS: ReadonlySet<string> = new Set(['too-large', 'bad-flag']);

interface Waiting {
  readonly message: KeyedMessage;
  readonly size: number;
  readonly where: string;
}

export interface ImportTarget {
  readonly store: MailStore;
  readonly mailboxId: MailboxId;
  /** For the operator. */
  readonly name: string;
  /** Brings also what was brought before. */
  readonly again: boolean;
  readonly report: WorkReport;
}

export async function importMessages(
  target: ImportTarget,
  messages: AsyncIterable<ArchivedMessage>,
): Promise<void> {
  const { name, report } = target;
  const seen = new Map<string, number>();
  let batch: Waiting[] = [];
  let octets = 0;
  let passed = 0;
  const flush = async (): Promise<void> => {
    if (batch.length > 0) await appendBatch(target, batch);
    report.pass(passed);
    batch = [];
    octets = 0;
    passed = 0;
  };
  for await (const { content, flags, internalDate, where, sourceOctets } of messages) {
    passed += sourceOctets;
    if (content.tooLarge) {
      report.fail(`${name}, ${where}`, 'is larger than the store takes');
      continue;
    }
    const digest = content.digest();
    const count = (seen.get(digest) ?? 0) + 1;
    seen.set(digest, count);
    const message = {
      key: `${digest} ${count}`,
      raw: content.pieces,
      flags,
      ...(internalDate === undefined ? {} : { internalDate }),
    };
    batch.push({ message, size: content.size, where });
    octets += content.size;
    if (batch.length === BATCH.messages || octets >= BATCH.octets) await flush();
  }
  await flush();
}

async function appendBatch(target: ImportTarget, batch: readonly Waiting[]): Promise<void> {
  const { name, report } = target;
  const octets = batch.reduce((sum, { size }) => sum + size, 0);
  try {
    const count = await append(target, batch);
    report.done += count;
    report.skipped += batch.length - count;
    report.octets += octets;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === 'over-quota') throw full(error);
    if (!REFUSALS.has(error.code)) throw error;
    const [only] = batch;
    if (only !== undefined && batch.length === 1) {
      return report.fail(`${name}, ${only.where}`, error.message);
    }
    // one of them was refused, and with it all
    for (const waiting of batch) await appendBatch(target, [waiting]);
  }
}

/** What comes behind would not fit either. */
function full(cause: StoreError): CliError {
  return new CliError('refused', cause.message, {
    cause,
    remedy: 'Give the account more room; the same command then goes on.',
  });
}

async function append(
  { store, mailboxId, again }: ImportTarget,
  batch: readonly Waiting[],
): Promise<number> {
  const messages = batch.map(({ message }) => message);
  if (!again) return store.messages.appendOnce(mailboxId, messages);
  return (await store.messages.append(mailboxId, messages)).length;
}
