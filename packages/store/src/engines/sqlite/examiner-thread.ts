/** A thread that reads a whole SQLite file to see whether it is sound, which takes long and blocks. */
import { parentPort, workerData } from 'node:worker_threads';
import { openReader } from './connection.ts';
import { fromSqlite } from './errors.ts';
import type { ExaminerData } from './examiner.ts';

/** What more there is says nothing new. */
const MAX_FAULTS = 100;

const { path, quick } = workerData as ExaminerData;
const found: string[] = [];
try {
  const database = openReader(path);
  const pragma = quick ? 'quick_check' : 'integrity_check';
  for (const row of database.prepare(`pragma ${pragma}(${MAX_FAULTS})`).all()) {
    const [text] = Object.values(row);
    if (text !== 'ok') found.push(String(text));
  }
  database.close();
} catch (error) {
  const known = fromSqlite(error);
  if (known === error || !(known instanceof Error)) throw error;
  found.push(known.message);
}
parentPort?.postMessage(found);
