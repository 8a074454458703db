/** The owner of the thread that examines a SQLite file (examiner-thread.ts). */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

export interface ExaminerData {
  readonly path: string;
  /** Leaves out whether indexes agree with their tables. */
  readonly quick: boolean;
}

/** What SQLite finds wrong with its own file, a sentence each. */
export async function examineFile(data: ExaminerData): Promise<string[]> {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./examiner-thread.${ending}`, import.meta.url), {
    name: 'store-examiner',
    workerData: data,
  });
  // an error of the thread rejects this
  const [found] = (await once(worker, 'message')) as [string[]];
  await worker.terminate();
  return found;
}
