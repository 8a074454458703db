/**
 * Whether a message is what SEARCH looks for (RFC 3501 §6.4.4), decided from as little as will do: first from
 * what the session knows anyway, then from the summary, then from what the store finds in texts. Pure.
 */
import { type MessageStructure, sentDate } from '@mail/message';
import type { MessageSummary, SoughtText, Uid } from '@mail/store';
import type { MailboxView, Numbered, Selection } from '../mailbox-view.ts';
import { dayOf } from '../parser/date.ts';
import type { SearchKey } from '../parser/search.ts';
import { rangesHold } from '../parser/sequence-set.ts';

/** A message, and what has been read of it so far. */
export interface Candidate extends Numbered {
  readonly message?: MessageSummary;
  /** Read without the rest of the summary, where that is not needed. */
  readonly flags?: readonly string[];
  readonly emailId?: string;
  readonly structure?: MessageStructure;
  /** For each text that the search looks for, which messages have it; so far as that was asked. */
  readonly texts?: readonly ReadonlySet<Uid>[];
}

/** Undefined: more of the message has to be read to tell. */
type Verdict = boolean | undefined;
type Matcher = (candidate: Candidate) => Verdict;

/** A SEARCH made ready for one view. */
export interface CompiledSearch {
  readonly matches: Matcher;
  /** What to look at: the search finds nothing elsewhere. */
  readonly start: SearchStart;
  /** Whether any key looks at flags. */
  readonly looksAtFlags: boolean;
  /** Whether any key looks at more of what a summary says. */
  readonly looksAtSummary: boolean;
  /** Whether any key looks at modification sequences: the answer then tells the highest. */
  readonly looksAtModSeq: boolean;
  readonly looksAtEmailId: boolean;
  /** How many keys a message may be held against. */
  readonly keys: number;
  /** What BODY, TEXT, HEADER and their like look for. */
  readonly texts: readonly SoughtText[];
}

/** Where a search begins, so that it need not look at every message. */
export interface SearchStart {
  readonly selection?: Selection;
  readonly mark?: 'unseen' | 'deleted';
}

/** What every message has that `key` finds. */
function startOf(key: SearchKey, view: MailboxView): SearchStart {
  switch (key.kind) {
    case 'and':
      return key.keys.map((one) => startOf(one, view)).reduce(narrower, {});
    case 'sequence': {
      const selection = view.bySequence(key.set);
      return selection === undefined ? {} : { selection };
    }
    case 'uid':
      return { selection: view.byUid(key.set) };
    case 'flag':
      return key.flag === '\\Deleted' ? { mark: 'deleted' } : {};
    case 'not':
      return key.key.kind === 'flag' && key.key.flag === '\\Seen' ? { mark: 'unseen' } : {};
    default:
      return {};
  }
}

/** Each narrows by itself: one of a kind is enough. */
function narrower(one: SearchStart, other: SearchStart): SearchStart {
  const selection = one.selection ?? other.selection;
  const mark = one.mark ?? other.mark;
  return { ...(selection && { selection }), ...(mark && { mark }) };
}

function and(matchers: readonly Matcher[]): Matcher {
  return (candidate) => {
    let verdict: Verdict = true;
    for (const matches of matchers) {
      const one = matches(candidate);
      if (one === false) return false;
      if (one === undefined) verdict = undefined;
    }
    return verdict;
  };
}

const not =
  (matches: Matcher): Matcher =>
  (candidate) => {
    const verdict = matches(candidate);
    return verdict === undefined ? undefined : !verdict;
  };

const RELATIONS = {
  before: (day: number, than: number) => day < than,
  on: (day: number, than: number) => day === than,
  since: (day: number, than: number) => day >= than,
};

/**
 * Makes a key ready for one view; `now` in milliseconds since the epoch. No message is ever \Recent: who was told first of a message is not
 * kept, and IMAP4rev2 has dropped the flag (RFC 9051 appendix E).
 */
export function compileSearch(
  key: SearchKey,
  view: MailboxView,
  now: number,
): CompiledSearch | 'no-such-number' {
  let badNumber = false;
  let looksAtFlags = false;
  let looksAtSummary = false;
  let looksAtModSeq = false;
  let looksAtEmailId = false;
  let keys = 0;
  const texts: SoughtText[] = [];

  const bySummary = (holds: (message: MessageSummary) => boolean): Matcher => {
    looksAtSummary = true;
    return ({ message }) => message && holds(message);
  };
  const byText = (text: SoughtText): Matcher => {
    const at = texts.push(text) - 1;
    return ({ uid, texts: found }) => found?.[at]?.has(uid);
  };

  const compile = (inner: SearchKey): Matcher => {
    keys += 1;
    switch (inner.kind) {
      case 'all':
        return () => true;
      case 'and':
        return and(inner.keys.map(compile));
      case 'or':
        return not(and([not(compile(inner.left)), not(compile(inner.right))]));
      case 'not':
        return not(compile(inner.key));
      case 'sequence': {
        const ranges = view.sequenceRanges(inner.set);
        if (ranges === undefined) badNumber = true;
        return ({ sequence }) => rangesHold(ranges ?? [], sequence);
      }
      case 'uid': {
        const ranges = view.uidRanges(inner.set);
        return ({ uid }) => rangesHold(ranges, uid);
      }
      case 'flag': {
        looksAtFlags = true;
        const flag = inner.flag.toLowerCase();
        return ({ message, flags = message?.flags }) =>
          flags?.some((one) => one.length === flag.length && one.toLowerCase() === flag);
      }
      case 'email-id':
        looksAtEmailId = true;
        return ({ emailId }) => (emailId === undefined ? undefined : emailId === inner.id);
      case 'modseq':
        looksAtModSeq = true;
        return bySummary(({ modSeq }) => modSeq >= inner.atLeast);
      case 'thread-id':
        return () => false;
      case 'larger':
        return bySummary(({ size }) => size > inner.octets);
      case 'smaller':
        return bySummary(({ size }) => size < inner.octets);
      case 'younger':
        return bySummary(
          ({ internalDate }) => now - internalDate.getTime() <= inner.seconds * 1000,
        );
      case 'older':
        return bySummary(
          ({ internalDate }) => now - internalDate.getTime() >= inner.seconds * 1000,
        );
      case 'date': {
        const relates = RELATIONS[inner.relation];
        if (inner.of === 'internal') {
          return bySummary(({ internalDate }) => relates(dayOf(internalDate), inner.day));
        }
        if (inner.of === 'saved') {
          return bySummary(({ savedAt }) => relates(dayOf(new Date(savedAt)), inner.day));
        }
        return ({ structure }) => {
          if (structure === undefined) return undefined;
          const sent = sentDate(structure.envelope.date);
          return sent !== undefined && relates(sent.day, inner.day);
        };
      }
      case 'header':
        return byText({ value: inner.value, within: { field: inner.name } });
      case 'body':
      case 'text':
        return byText({ value: inner.value, within: inner.kind });
    }
  };

  const matches = compile(key);
  if (badNumber) return 'no-such-number';
  const start = startOf(key, view);
  return {
    matches,
    start,
    looksAtFlags,
    looksAtSummary,
    looksAtModSeq,
    looksAtEmailId,
    keys,
    texts,
  };
}
