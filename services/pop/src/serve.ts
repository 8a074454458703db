/**
 * The life of a session: greeting, commands one after another, farewell. The only place where errors
 * become responses.
 */
import { type Connection, LineServerError } from '@mail/line-server';
import { StoreError } from '@mail/store';
import type { Reply } from './commands/command.ts';
import { COMMANDS } from './commands/index.ts';
import { MAX_BAD_COMMANDS } from './config.ts';
import { ReplyError } from './errors.ts';
import { DotStuffer } from './multiline.ts';
import { Session, type SessionContext } from './session.ts';

/** Speaks POP3 on `connection` until either side ends. Rejects only for what nobody can be told. */
export async function serve(connection: Connection, context: SessionContext): Promise<void> {
  const session = new Session(connection, context);
  try {
    await converse(session);
  } catch (error) {
    const farewell = farewellFor(error);
    if (farewell === undefined) throw error;
    await connection.end(`-ERR ${farewell}\r\n`);
  } finally {
    await session.close();
  }
}

/** What a client is told at an end that it did not ask for; undefined where there is no telling. */
function farewellFor(error: unknown): string | undefined {
  if (!(error instanceof LineServerError)) return undefined;
  switch (error.code) {
    case 'idle-timeout':
      return 'Nothing came for too long';
    case 'line-too-long':
      return 'Line too long';
    case 'draining':
      return '[SYS/TEMP] The server has a new certificate, please connect again';
    case 'shutting-down':
      return '[SYS/TEMP] The server is going down';
    default:
      return undefined;
  }
}

async function converse(session: Session): Promise<void> {
  const { connection, context } = session;
  const loginDeadline = context.now() + context.loginTimeoutMs;
  let badCommands = 0;
  await connection.write('+OK Concert is ready\r\n');
  while (badCommands < MAX_BAD_COMMANDS && !session.logins.closed) {
    connection.idleTimeoutMs =
      session.state.name === 'transaction'
        ? context.idleTimeoutMs
        : Math.max(loginDeadline - context.now(), 1);
    const line = await connection.readLine();
    if (line === undefined) return;
    let reply: Reply;
    try {
      reply = await perform(session, line.toString('utf8'));
    } catch (error) {
      const refusal = refusalFor(error, session);
      if (refusal.unknown) badCommands += 1;
      await connection.write(`-ERR ${refusal.text}\r\n`);
      continue;
    }
    if (await answer(session, reply)) return;
  }
  await connection.end('-ERR Too many errors\r\n');
}

class UnknownCommand extends ReplyError {}

function perform(session: Session, line: string): Promise<Reply> | Reply {
  const [, verb = '', argument = ''] = /^(\S*) ?(.*)$/s.exec(line) ?? [];
  const command = COMMANDS.get(verb.toUpperCase());
  if (!command) throw new UnknownCommand(undefined, 'Unknown command');
  if (!command.states.includes(session.state.name)) {
    const before = session.state.name === 'authorization';
    throw new ReplyError(undefined, before ? 'Log in first' : 'You are logged in already');
  }
  return command.handle(session, argument);
}

/** Words for what a command failed with. Rethrows what ends the session. */
function refusalFor(error: unknown, session: Session): { text: string; unknown: boolean } {
  if (error instanceof LineServerError) throw error;
  if (error instanceof ReplyError) {
    const text = error.code === undefined ? error.message : `[${error.code}] ${error.message}`;
    return { text, unknown: error instanceof UnknownCommand };
  }
  if (!(error instanceof StoreError)) {
    const listener = session.connection.listenerName;
    session.context.logger.error({ error, listener }, 'a command failed');
  }
  return { text: '[SYS/TEMP] Something went wrong here, try again later', unknown: false };
}

/** Sends a reply; true when it was the last. A failure in the middle of it ends the connection. */
async function answer({ connection }: Session, reply: Reply): Promise<boolean> {
  const status = `+OK ${reply.text}\r\n`;
  if (reply.next === 'start-tls') {
    await connection.startTls(status);
    return false;
  }
  if (reply.next === 'end') {
    await connection.end(status);
    return true;
  }
  await connection.write(status);
  if (!reply.lines) return false;
  const stuffer = new DotStuffer();
  try {
    for await (const piece of reply.lines) await connection.write(stuffer.stuff(piece));
  } catch (error) {
    // half a message must not look like a whole one
    connection.destroy();
    throw error;
  }
  await connection.write(stuffer.end());
  return false;
}
