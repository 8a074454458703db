/**
 * The life of a session: greeting, commands one after another, farewell. The only place where errors
 * become responses.
 */
import { type Connection, LineServerError } from '@mail/line-server';
import { MAX_ANNOTATION_OCTETS, StoreError } from '@mail/store';
import { hasRoom } from './append-room.ts';
import { CommandReader, type ReaderLimits } from './command-reader.ts';
import { COMMANDS } from './commands/index.ts';
import { MAX_BAD_IN_A_ROW } from './config.ts';
import { ImapSyntaxError, isStoreUnavailable, ReplyError, refuse, SessionEnd } from './errors.ts';
import { tellUntilLine } from './notify/listen.ts';
import { parseVerb } from './parser/command.ts';
import { type CommandText, Lexer } from './parser/lexer.ts';
import { ResponseWriter } from './response.ts';
import { type Completion, Session, type SessionContext } from './session.ts';
import { Turns } from './turns.ts';

/** Of a client that sends many at once, before others have their turn. */
const COMMANDS_PER_TURN = 16;

export interface ServeOptions {
  readonly context: SessionContext;
  readonly limits: ReaderLimits;
  /** From the connection to the login; what a client sends meanwhile does not extend it. */
  readonly loginTimeoutMs: number;
}

/** Speaks IMAP on `connection` until either side ends. Rejects only for what nobody can be told. */
export async function serve(connection: Connection, options: ServeOptions): Promise<void> {
  const response = new ResponseWriter(connection);
  const session = new Session(connection, response, options.context);
  try {
    await converse(session, options);
  } catch (error) {
    const farewell = farewellFor(error);
    if (farewell === undefined) throw error;
    await connection.end(`${response.take()}* BYE ${farewell}\r\n`);
  } finally {
    session.close();
  }
}

/** What a client is told at an end that it did not ask for; undefined where there is no telling. */
function farewellFor(error: unknown): string | undefined {
  if (error instanceof SessionEnd) return error.message;
  if (error instanceof StoreError) {
    return error.code === 'no-such-account'
      ? 'The account was removed'
      : '[UNAVAILABLE] The mail store is closed';
  }
  if (!(error instanceof LineServerError)) return undefined;
  switch (error.code) {
    case 'idle-timeout':
      return 'Autologout, nothing came in time';
    case 'line-too-long':
      return 'Line too long';
    case 'draining':
      return 'The server has a new certificate, please connect again';
    case 'shutting-down':
      return '[UNAVAILABLE] The server is going down';
    default:
      return undefined;
  }
}

async function converse(session: Session, options: ServeOptions): Promise<void> {
  const { connection, response } = session;
  const loginTimer = setTimeout(() => {
    connection.announceEnd(
      new LineServerError('idle-timeout', 'the client did not log in in time'),
    );
  }, options.loginTimeoutMs);
  try {
    response.notice(`CAPABILITY ${session.capabilities}`, 'Concert is ready');
    await response.flush();
    await answerCommands(session, options.limits, () => clearTimeout(loginTimer));
  } finally {
    clearTimeout(loginTimer);
  }
}

/** Until the client ends or is sent away. Calls `onLogin` before the first command of somebody known. */
async function answerCommands(
  session: Session,
  limits: ReaderLimits,
  onLogin: () => void,
): Promise<void> {
  const reader = new CommandReader(session.connection, session.response, limits, (coming, begun) =>
    hasRoom(session, begun, coming),
  );
  const turns = new Turns(COMMANDS_PER_TURN);
  let badInARow = 0;
  while (badInARow < MAX_BAD_IN_A_ROW) {
    const { state } = session;
    const account = state.name === 'not-authenticated' ? undefined : state.account;
    if (account !== undefined) onLogin();
    const { listens, expungesNow } = session.notifications;
    // who listens all the time is told of changes until a command begins (RFC 5465 §3.1)
    const firstLine = listens ? () => tellUntilLine(session, expungesNow) : undefined;
    const received = await reader.next(account?.address, firstLine);
    if (received === undefined) return;
    try {
      const outcome = await perform(session, received.text, received.refusal);
      if (outcome === 'end') return;
      badInARow = outcome === 'bad' ? badInARow + 1 : 0;
    } finally {
      received.release();
    }
    await turns.spend(1);
  }
  throw new SessionEnd('Too many bad commands');
}

/** One command, answered. */
async function perform(
  session: Session,
  text: CommandText,
  refusal: ReplyError | undefined,
): Promise<'ok' | 'bad' | 'end'> {
  const { connection, response } = session;
  let tag = '*';
  let keepsNumbers = false;
  try {
    const lexer = new Lexer(text, session.strings);
    tag = lexer.tag();
    session.tag = tag;
    if (refusal !== undefined) throw refusal;
    const rule = COMMANDS.get(parseVerb(lexer));
    if (rule === undefined) throw new ReplyError('BAD', undefined, 'Unknown command');
    if (!rule.states.includes(session.state.name)) {
      throw new ReplyError('BAD', undefined, 'Not in this state');
    }
    keepsNumbers = rule.keepsNumbers;
    const handle = rule.prepare(lexer);
    await session.renewRights();
    const completion = await handle(session);
    await session.tellChanges(!keepsNumbers);
    return await complete(session, tag, completion);
  } catch (error) {
    const reply = replyFor(error);
    if (reply === undefined) {
      session.context.logger.error(
        { error, listener: connection.listenerName },
        'a command failed',
      );
    }
    const { status, code, message } = reply ?? refuse('SERVERBUG', 'Something went wrong here');
    if (status === 'NO' && code !== 'UNAVAILABLE') {
      await session.tellChanges(!keepsNumbers).catch(leaveForLater);
    }
    response.tagged(tag, status, code, message);
    await response.flush();
    return status === 'BAD' ? 'bad' : 'ok';
  }
}

/** Changes that the store cannot say now are told behind the next command. */
function leaveForLater(error: unknown): void {
  if (!isStoreUnavailable(error)) throw error;
}

async function complete(
  { connection, response }: Session,
  tag: string,
  { code, text, next }: Completion,
): Promise<'ok' | 'end'> {
  response.tagged(tag, 'OK', code, text);
  switch (next) {
    case 'start-tls':
      await connection.startTls(response.take());
      return 'ok';
    case 'end':
      await connection.end(response.take());
      return 'end';
    default:
      await response.flush();
      return 'ok';
  }
}

/** The refusal that an error means; undefined for a bug. Rethrows what ends the session. */
function replyFor(error: unknown): ReplyError | undefined {
  if (error instanceof ReplyError) return error;
  if (error instanceof ImapSyntaxError) return new ReplyError('BAD', undefined, error.message);
  if (error instanceof SessionEnd || error instanceof LineServerError) throw error;
  if (!(error instanceof StoreError)) return undefined;
  switch (error.code) {
    case 'no-such-mailbox':
      return refuse('NONEXISTENT', 'No such mailbox', error);
    case 'mailbox-exists':
      return refuse('ALREADYEXISTS', 'There is a mailbox of that name', error);
    case 'mailbox-not-deletable':
      return refuse('CANNOT', 'INBOX cannot be deleted', error);
    case 'rights-of-owner':
      return refuse('CANNOT', 'The owner of a mailbox has all rights', error);
    case 'too-many-rights':
      return refuse('LIMIT', 'The mailbox is shared with too many', error);
    case 'bad-mailbox-name':
      return refuse('CANNOT', 'A mailbox cannot have that name', error);
    case 'too-many-mailboxes':
      return refuse('LIMIT', 'The account has as many mailboxes as it can have', error);
    case 'too-many-subscriptions':
      return refuse('LIMIT', 'The account has as many subscriptions as it can have', error);
    case 'bad-flag':
      return refuse('LIMIT', 'Too many keywords, or one too long', error);
    case 'bad-special-use':
      return refuse('USEATTR', 'No such use, or not of this mailbox', error);
    case 'bad-annotation':
      return refuse('CANNOT', 'No annotation can have that name', error);
    case 'annotation-too-large':
      return refuse(`METADATA MAXSIZE ${MAX_ANNOTATION_OCTETS}`, 'Value too large', error);
    case 'too-many-annotations':
      return refuse('METADATA TOOMANY', 'Too many annotations', error);
    case 'no-such-message':
      return refuse('EXPUNGEISSUED', 'The message is gone', error);
    case 'too-large':
      return refuse('TOOBIG', 'The message is too large', error);
    case 'over-quota':
      return refuse('OVERQUOTA', 'The account has no room for that', error);
    case 'database-unavailable':
      return refuse('UNAVAILABLE', 'The mail store does not answer, try again later', error);
    case 'no-such-account':
    case 'closed':
      throw error;
    default:
      return undefined;
  }
}
