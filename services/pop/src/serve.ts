/**
 * The life of a session: greeting, commands one after another, farewell. The only place where errors
 * become responses.
 */
import { setImmediate as othersTurn } from 'node:timers/promises';
import { type Connection, LineServerError } from '@mail/line-server';
import { StoreError } from '@mail/store';
import { type Reply, splitLine } from './commands/command.ts';
import { COMMANDS } from './commands/index.ts';
import { COMMANDS_PER_TURN, MAX_BAD_COMMANDS } from './config.ts';
import { ReplyError, SessionEnd } from './errors.ts';
import { DotStuffer } from './multiline.ts';
import { Session, type SessionContext } from './session.ts';

/** Speaks POP3 on `connection` until either side ends. Rejects only for what nobody can be told. */
export async function serve(connection: Connection, context: SessionContext): Promise<void> {
  const session = new Session(connection, context);
  let farewell: string;
  try {
    farewell = await converse(session);
  } catch (error) {
    farewell = farewellFor(error, session);
  } finally {
    // before the farewell: who has heard it may come back at once, and who does not read it is waited
    // for long
    await session.close();
  }
  await connection.end(farewell);
}

/** What a client is told at an end that it did not ask for. Rethrows where there is no telling. */
function farewellFor(error: unknown, session: Session): string {
  if (error instanceof SessionEnd) {
    reportBug(error.cause, session);
    return refusal(error);
  }
  if (!(error instanceof LineServerError)) throw error;
  switch (error.code) {
    case 'idle-timeout':
      return '-ERR Nothing came for too long\r\n';
    case 'line-too-long':
      return '-ERR Line too long\r\n';
    case 'draining':
      return '-ERR [SYS/TEMP] The server has a new certificate, please connect again\r\n';
    case 'shutting-down':
      return '-ERR [SYS/TEMP] The server is going down\r\n';
    default:
      throw error;
  }
}

/** Resolves with the farewell: the last thing that is sent, "" where the client has ended. */
async function converse(session: Session): Promise<string> {
  const { connection, context } = session;
  const loginDeadline = context.now() + context.loginTimeoutMs;
  let badCommands = 0;
  await connection.write('+OK Concert is ready\r\n');
  for (let commands = 1; badCommands < MAX_BAD_COMMANDS && !session.logins.closed; commands += 1) {
    // pipelined commands would otherwise be answered all before anybody else's
    if (commands % COMMANDS_PER_TURN === 0) await othersTurn();
    connection.idleTimeoutMs =
      session.state.name === 'transaction'
        ? context.idleTimeoutMs
        : Math.max(loginDeadline - context.now(), 1);
    const line = await nextLine(session);
    if (line === undefined) return '';
    let reply: Reply;
    try {
      reply = await perform(session, line.toString('utf8'));
    } catch (error) {
      if (error instanceof UnknownCommand) badCommands += 1;
      await connection.write(refusalFor(error, session));
      continue;
    }
    if (reply.next === 'end') return `+OK ${reply.text}\r\n`;
    await answer(session, reply);
  }
  return '-ERR Too many errors\r\n';
}

/** The client's next line. Throws SessionEnd when the maildrop is this session's no more. */
async function nextLine({ connection, state }: Session): Promise<Buffer | undefined> {
  if (state.name !== 'transaction') return connection.readLine();
  const { lost } = state.maildrop;
  try {
    return await connection.readLine({ signal: lost });
  } catch (cause) {
    if (!lost.aborted || cause !== lost.reason) throw cause;
    // RFC 1939 §6: without QUIT nothing is deleted
    throw new SessionEnd('SYS/TEMP', 'The mail store was out of reach, try again later', cause);
  }
}

class UnknownCommand extends ReplyError {}

function perform(session: Session, line: string): Promise<Reply> | Reply {
  const { verb, argument } = splitLine(line);
  const command = COMMANDS.get(verb);
  if (!command) throw new UnknownCommand(undefined, 'Unknown command');
  if (!command.states.includes(session.state.name)) {
    const before = session.state.name === 'authorization';
    throw new ReplyError(undefined, before ? 'Log in first' : 'You are logged in already');
  }
  return command.handle(session, argument);
}

/** What a command's failure is answered with. Rethrows what ends the session. */
function refusalFor(error: unknown, session: Session): string {
  if (error instanceof LineServerError || error instanceof SessionEnd) throw error;
  if (error instanceof ReplyError) return refusal(error);
  reportBug(error, session);
  return '-ERR [SYS/TEMP] Something went wrong here, try again later\r\n';
}

function refusal({ code, message }: ReplyError | SessionEnd): string {
  return code === undefined ? `-ERR ${message}\r\n` : `-ERR [${code}] ${message}\r\n`;
}

/** A store that refuses or is out of order is none. */
function reportBug(error: unknown, { connection, context }: Session): void {
  if (error instanceof StoreError) return;
  context.logger.error({ error, listener: connection.listenerName }, 'a command failed');
}

/** Sends a reply that is not the last. A failure in the middle of it ends the connection. */
async function answer({ connection }: Session, reply: Reply): Promise<void> {
  const status = `+OK ${reply.text}\r\n`;
  if (reply.next === 'start-tls') return connection.startTls(status);
  await connection.write(status);
  if (!reply.lines) return;
  const stuffer = new DotStuffer();
  try {
    for await (const piece of reply.lines) await connection.write(stuffer.stuff(piece));
  } catch (error) {
    // half a message must not look like a whole one
    connection.destroy();
    throw error;
  }
  await connection.write(stuffer.end());
}
