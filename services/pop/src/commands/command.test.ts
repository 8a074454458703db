import { AuthError } from '@mail/auth';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReplyError } from '../errors.ts';
import type { DropMessage } from '../maildrop.ts';
import type { Session } from '../session.ts';
import type { StateName } from '../state.ts';
import { numberOf, splitLine, wordsOf } from './command.ts';
import { COMMANDS } from './index.ts';

const word = fc.stringMatching(/^[!-~]{1,20}$/);
const blanks = fc.stringMatching(/^ {1,3}$/);

/** What a stranger may send: words, numbers near every limit, and any characters at all. */
const argument = fc.oneof(
  fc
    .array(
      fc.oneof(word, fc.nat().map(String), fc.constantFrom('0', '1', '2', '3', '4294967296')),
      {
        maxLength: 3,
      },
    )
    .map((words) => words.join(' ')),
  fc.string({ unit: 'binary', maxLength: 300 }),
);

describe('a line', () => {
  test('is its verb and the rest, octet for octet', () => {
    fc.assert(
      fc.property(word, fc.string({ unit: 'binary' }), (verb, rest) => {
        const line = `${verb} ${rest}`;
        expect(splitLine(line)).toEqual({ verb: verb.toUpperCase(), argument: rest });
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (line) => {
        expect(splitLine(line).verb).toMatch(/^\S*$/);
      }),
    );
  });
});

describe('an argument', () => {
  test('is its words, however many blanks stand about them', () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 4 }), blanks, blanks, (words, before, between) => {
        const text = before + words.join(between);
        expect(wordsOf(text, 0, 4)).toEqual(words);
        if (words.length > 0) expect(() => wordsOf(text, 0, words.length - 1)).toThrow(ReplyError);
        expect(() => wordsOf(text, words.length + 1, 9)).toThrow(ReplyError);
      }),
    );
  });

  test('is a number of 32 bits in digits, or none', () => {
    const max = 2 ** 32 - 1;
    fc.assert(
      fc.property(fc.integer({ min: 0, max }), (number) => {
        expect(numberOf(String(number))).toBe(number);
      }),
    );
    const others = fc.oneof(
      fc.string(),
      fc.integer({ max: -1 }).map(String),
      fc.integer({ min: max + 1, max: Number.MAX_SAFE_INTEGER }).map(String),
      fc.constantFrom('1.0', '1e3', '0x1', '+1', ' 1', '1 ', '١'),
    );
    fc.assert(
      fc.property(others, (text) => {
        fc.pre(!/^\d{1,10}$/.test(text) || Number(text) > max);
        expect(() => numberOf(text)).toThrow(ReplyError);
      }),
    );
  });
});

const MESSAGES: readonly DropMessage[] = [1, 2, 3].map((number) => ({
  number,
  uid: number,
  size: 10,
  storedSize: 10,
}));

/** A session whose store takes no login and holds three messages. */
function sessionIn(name: StateName): Session {
  const maildrop = {
    messages: MESSAGES,
    message(number: number): DropMessage {
      const found = MESSAGES[number - 1];
      if (found === undefined) throw new ReplyError(undefined, 'No such message');
      return found;
    },
    uniqueId: ({ uid }: DropMessage) => `1.${uid}`,
    async *read() {
      yield Buffer.from('a: b\r\n\r\nc\r\n');
    },
    delete: () => {},
    reset: () => {},
    update: async () => 0,
  };
  const state = name === 'transaction' ? { name, maildrop } : { name, user: 'alice' };
  return {
    state,
    maildrop,
    connection: {
      channelBinding: undefined,
      loginAllowed: true,
      startTlsOffered: true,
      write: async () => {},
      readLine: async () => undefined,
    },
    context: { countRead: () => {} },
    requirePrivacy: () => {},
    logins: {
      mechanisms: () => ['PLAIN'],
      logIn: async () => ({ kind: 'refused' }),
      authenticate: async () => {
        throw new AuthError('malformed-response', 'not base64');
      },
    },
    enter: async () => {
      throw new ReplyError('AUTH', 'Wrong name or password');
    },
  } as unknown as Session;
}

const CASES = [...COMMANDS].flatMap(([verb, { states }]) =>
  states.map((state): [string, StateName] => [verb, state]),
);

test.each(CASES)(
  '%s in %s answers one line or refuses, whatever its argument',
  async (verb, state) => {
    await fc.assert(
      fc.asyncProperty(argument, async (text) => {
        try {
          const reply = await COMMANDS.get(verb)?.handle(sessionIn(state), text);
          expect(reply?.text).toMatch(/^[ -~]+$/);
          for await (const piece of reply?.lines ?? []) expect(Buffer.isBuffer(piece)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(ReplyError);
        }
      }),
    );
  },
);
