/** Puts the same mail into each server's INBOX, over IMAP, and sees that it is there. */
import type { MailServer } from './mail-server.ts';
import {
  HIT_IN_SUBJECT,
  HIT_IN_TEXT,
  hasSubjectHit,
  hasTextHit,
  internalDateOf,
  MISS,
  messageNumber,
} from './messages.ts';
import { RawClient } from './raw-client.ts';

/** Messages of one APPEND (RFC 3502): servers limit the literals of a command. */
const PER_COMMAND = 50;

/** Most mail is read, some answered. */
function flagsOf(number: number): string {
  if (number % 10 === 9) return '()';
  return number % 6 === 0 ? '(\\Seen \\Answered)' : '(\\Seen)';
}

/** One message of an APPEND: flags, date, literal (RFC 7888). */
export function appendItem(number: number): Buffer {
  const message = messageNumber(number);
  const before = `${flagsOf(number)} "${internalDateOf(number)}" {${message.length}+}\r\n`;
  return Buffer.concat([Buffer.from(before), message]);
}

async function fill(client: RawClient, messages: number): Promise<void> {
  for (let first = 0; first < messages; first += PER_COMMAND) {
    const parts: Buffer[] = [Buffer.from('APPEND INBOX')];
    for (let number = first; number < Math.min(messages, first + PER_COMMAND); number += 1) {
      parts.push(Buffer.from(' '), appendItem(number));
    }
    await client.ask(Buffer.concat(parts));
  }
}

const countHits = (answer: string): number =>
  (/^\* SEARCH(.*)\r$/m.exec(answer)?.[1]?.match(/\d+/g) ?? []).length;

/** Throws where the server has other mail than it was given, or does not find it. */
async function verify(client: RawClient, name: string, messages: number): Promise<void> {
  const numbers = Array.from({ length: messages }, (_, number) => number);
  const selected = await client.read('SELECT INBOX');
  const hits = async (key: string): Promise<number> =>
    countHits(await client.read(`SEARCH ${key}`));
  const figures = [
    ['messages', Number(/^\* (\d+) EXISTS/m.exec(selected)?.[1]), messages],
    ['hits in text', await hits(`TEXT ${HIT_IN_TEXT}`), numbers.filter(hasTextHit).length],
    ['misses', await hits(`TEXT ${MISS}`), 0],
    ['subjects', await hits(`SUBJECT ${HIT_IN_SUBJECT}`), numbers.filter(hasSubjectHit).length],
  ] as const;
  for (const [what, seen, wanted] of figures) {
    if (seen !== wanted) throw new Error(`${name}: ${what}: ${seen} instead of ${wanted}`);
  }
}

export async function fillInbox(server: MailServer, messages: number): Promise<void> {
  const client = await RawClient.open(server, 'plain');
  await fill(client, messages);
  await verify(client, server.name, messages);
  await client.close();
}
