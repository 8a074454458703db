/** The thread that parses messages for the one that speaks protocols. */
import { parentPort } from 'node:worker_threads';
import { type PreparedWrite, prepareWrite } from '../../writes.ts';
import { sendError } from '../sent-error.ts';
import type { PrepareAnswer, PrepareRequest } from './preparer-messages.ts';

/** The memory of the messages, which came here to be handed back. */
function memoryOf({ name }: PrepareRequest, prepared: unknown): ArrayBuffer[] {
  const messages =
    name === 'append' || name === 'appendOnce'
      ? (prepared as PreparedWrite<'append' | 'appendOnce'>).messages
      : [(prepared as PreparedWrite<'deliver' | 'replace'>).message];
  return messages.map(({ content }) => content.raw.buffer as ArrayBuffer);
}

const port = parentPort;
if (port === null) throw new Error('this module is the start of a worker thread');
port.on('message', (request: PrepareRequest) => {
  const { id, name, args } = request;
  try {
    const prepared = prepareWrite(name, args);
    const answer: PrepareAnswer = { id, ok: true, prepared };
    port.postMessage(answer, memoryOf(request, prepared));
  } catch (error) {
    port.postMessage({ id, ok: false, error: sendError(error) } satisfies PrepareAnswer);
  }
});
