/** Commands to an IMAP server, each when the one before has its answer: what is said between is said to it. */
import type { Readable, Writable } from 'node:stream';

/** A completion as the last line that has come. */
const COMPLETED = /(?:^|\r\n)(\d+) (?:OK|NO|BAD)[^\r\n]*\r\n$/;
/** Longer than a line that completes a command. */
const TAIL = 2_000;

/**
 * Sends `commands` to the server's `input` with the tags 0, 1, ... and gives all that was said until the server closed, which the
 * last of them has it do.
 */
export async function askServer(
  { input, output }: { readonly input: Writable; readonly output: Readable },
  commands: readonly string[],
): Promise<Buffer> {
  const said: Buffer[] = [];
  let tail = '';
  let sent = 0;
  const send = (): void => {
    if (sent < commands.length) input.write(`${sent} ${commands[sent]}\r\n`);
    sent += 1;
  };
  // it may have closed already; what it said then tells
  input.on('error', () => undefined);
  send();
  for await (const piece of output as AsyncIterable<Buffer>) {
    said.push(piece);
    tail = (tail + piece.toString('latin1')).slice(-TAIL);
    if (COMPLETED.exec(tail)?.[1] === `${sent - 1}`) send();
  }
  return Buffer.concat(said);
}
