/** The thread that searches texts: a page at a time, in the order asked, so that sessions take turns. */
import { parentPort, workerData } from 'node:worker_threads';
import { findText } from '../../search.ts';
import { sendError } from '../sent-error.ts';
import { kyselyOn, openReader } from './connection.ts';
import { fromSqlite } from './errors.ts';
import { SQLITE_TEXT_INDEX } from './text-index.ts';
import type { SearchAnswer, SearchRequest, ToSearcher } from './text-searcher.ts';

const port = parentPort;
if (port === null) throw new Error('this module is the start of a worker thread');
const db = kyselyOn(openReader(workerData as string, { maps: true }));

async function answer({ id, query }: SearchRequest): Promise<SearchAnswer> {
  try {
    const page = await db
      .transaction()
      .execute((snapshot) => findText(snapshot, SQLITE_TEXT_INDEX, query));
    return { id, ok: true, page };
  } catch (error) {
    return { id, ok: false, error: sendError(fromSqlite(error)) };
  }
}

let before: Promise<void> = Promise.resolve();
port.on('message', (message: ToSearcher) => {
  // one connection has one transaction at a time
  before = before.then(async () => {
    if (message !== 'close') {
      port.postMessage(await answer(message));
      return;
    }
    await db.destroy();
    port.close();
  });
});
