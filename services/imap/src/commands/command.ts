/** What a command is: where it may come, how it is read, what it does. The table is index.ts. */
import type { Lexer } from '../parser/lexer.ts';
import type { Completion, Session } from '../session.ts';
import type { StateName } from '../state.ts';

export interface CommandRule<Arguments> {
  readonly states: readonly StateName[];
  /** Reads what follows the verb, up to the end of the command. Pure. Throws ImapSyntaxError. */
  readonly parse: (lexer: Lexer) => Arguments;
  /**
   * Does it, writes untagged responses, returns how the command completes. Throws ReplyError and
   * StoreError for what it refuses.
   */
  readonly handle: (session: Session, parsed: Arguments) => Promise<Completion> | Completion;
  /** What CAPABILITY says because of this command. */
  readonly capability?: readonly string[];
  /** Whether no EXPUNGE may be sent with it (RFC 3501 §7.4.1). */
  readonly keepsNumbers?: boolean;
}

/** A rule whose arguments are its own affair. */
export interface Command {
  readonly states: readonly StateName[];
  readonly capability: readonly string[];
  readonly keepsNumbers: boolean;
  /** Reads the arguments, all of them; the result does the command. */
  readonly prepare: (lexer: Lexer) => (session: Session) => Promise<Completion> | Completion;
}

export function command<Arguments>(rule: CommandRule<Arguments>): Command {
  return {
    states: rule.states,
    capability: rule.capability ?? [],
    keepsNumbers: rule.keepsNumbers ?? false,
    prepare: (lexer) => {
      const parsed = rule.parse(lexer);
      lexer.end();
      return (session) => rule.handle(session, parsed);
    },
  };
}
