/** SELECT and EXAMINE with parameters (RFC 4466 §2.1, RFC 7162 §3.1.8, §3.2.5), and ENABLE (RFC 5161). */
import type { Lexer } from './lexer.ts';
import { parseOneMailbox } from './mailbox.ts';
import { parseSequenceSet, type SequenceSet } from './sequence-set.ts';

/** What the client knows of the mailbox. */
export interface ResyncArguments {
  readonly uidValidity: number;
  readonly modSeq: number;
  /** UIDs; undefined for all. */
  readonly known: SequenceSet | undefined;
  /** Whether it says which sequence numbers some UIDs had. */
  readonly matchesNumbers: boolean;
}

export interface SelectArguments {
  readonly mailbox: string;
  readonly condStore: boolean;
  readonly resync: ResyncArguments | undefined;
}

function parseResync(lexer: Lexer): ResyncArguments {
  lexer.expect(' (');
  const uidValidity = lexer.positive();
  lexer.space();
  const modSeq = lexer.number64();
  let known: SequenceSet | undefined;
  let matchesNumbers = false;
  if (lexer.accept(' ')) {
    if (lexer.peek() !== '(') known = parseSequenceSet(lexer);
    if (known === undefined || lexer.accept(' ')) {
      parseMatchData(lexer);
      matchesNumbers = true;
    }
  }
  lexer.expect(')');
  return { uidValidity, modSeq, known, matchesNumbers };
}

/** "(numbers uids)": helps servers that forget what was expunged; this one does not. */
function parseMatchData(lexer: Lexer): void {
  lexer.expect('(');
  parseSequenceSet(lexer);
  lexer.space();
  parseSequenceSet(lexer);
  lexer.expect(')');
}

export function parseSelect(lexer: Lexer): SelectArguments {
  const mailbox = parseOneMailbox(lexer);
  let condStore = false;
  let resync: ResyncArguments | undefined;
  if (lexer.accept(' ')) {
    lexer.filledList(() => {
      if (lexer.accept('CONDSTORE')) condStore = true;
      else if (lexer.accept('QRESYNC')) resync = parseResync(lexer);
      else lexer.fail('Unknown SELECT parameter');
    });
  }
  return { mailbox, condStore, resync };
}

/** Of ENABLE: names, in upper case; at least one. */
export function parseEnable(lexer: Lexer): string[] {
  const names: string[] = [];
  do {
    lexer.space();
    names.push(lexer.word());
  } while (lexer.peek() === ' ');
  return names;
}
