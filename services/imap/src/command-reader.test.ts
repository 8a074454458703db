import { createTransferDecoder, parseMessage } from '@mail/message';
import { MemoryBudget } from '@mail/service';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Coming } from './append-room.ts';
import { CommandReader, type ReceivedCommand } from './command-reader.ts';

/** Pieces of literals, far smaller than in truth. */
const PIECE_OCTETS = 4;

/** A client that has said all it will say. */
class Said {
  readonly goAheads: string[] = [];
  #left: Buffer;

  constructor(text: string) {
    this.#left = Buffer.from(text, 'latin1');
  }

  #take(octets: number): Buffer {
    const taken = this.#left.subarray(0, octets);
    this.#left = this.#left.subarray(octets);
    return taken;
  }

  async readLine(): Promise<Buffer | undefined> {
    const end = this.#left.indexOf('\r\n');
    return end === -1 ? undefined : this.#take(end + 2).subarray(0, end);
  }

  async readLiteral(size: number): Promise<Buffer> {
    return this.#take(size);
  }

  async *literalPieces(size: number): AsyncGenerator<Buffer, void, void> {
    for (let left = size; left > 0; left -= PIECE_OCTETS) {
      yield this.#take(Math.min(left, PIECE_OCTETS));
    }
  }

  async goAhead(text: string): Promise<void> {
    this.goAheads.push(text);
  }
}

function reader(
  text: string,
  budget = new MemoryBudget({ octets: 100, perHolder: 60 }),
  maxMessageOctets = 40,
) {
  const said = new Said(text);
  const limits = { maxMessageOctets, budget };
  const commands = new CommandReader(said, said, limits, async () => true);
  return { commands, said, budget };
}

const x = (octets: number): string => 'x'.repeat(octets);

describe('APPEND’s message', () => {
  test('comes in pieces with CRLF, and its memory is held until it is released', async () => {
    const { commands, said, budget } = reader('a APPEND b {10}\r\nab\r\ncd\nef\n\r\n');
    const received = await commands.next('alice');
    const [message] = received?.text.literals ?? [];
    expect(message?.map(String)).toEqual(['ab\r\n', 'cd\r\ne', 'f\r\n']);
    expect(said.goAheads).toHaveLength(1);
    expect(budget.free).toBe(100 - 12);
    received?.release();
    expect(budget.free).toBe(100);
  });

  test('is told from the name of the mailbox', async () => {
    const { commands, budget } = reader('a APPEND {3+}\r\na\nb {3+}\r\na\nb\r\n');
    const received = await commands.next('alice');
    expect(received?.text.literals.map((pieces) => Buffer.concat([...pieces]).toString())).toEqual([
      'a\nb',
      'a\r\nb',
    ]);
    expect(budget.free).toBe(100 - 4);
  });

  test.each([
    ['announced beyond the limit', `a APPEND b {41+}\r\n${x(41)}\r\n`, 'TOOBIG'],
    ['of REPLACE', `a REPLACE 1 b {41+}\r\n${x(41)}\r\n`, 'TOOBIG'],
    ['of UID REPLACE', `a UID REPLACE 1 {1+}\r\nb {41+}\r\n${x(41)}\r\n`, 'TOOBIG'],
    ['grown beyond the limit', `a APPEND b {24+}\r\n${x(3)}${'\n'.repeat(21)}\r\n`, 'TOOBIG'],
    ['and more literals behind it', `a APPEND b {41+}\r\n${x(41)} {2+}\r\nab\r\n`, 'TOOBIG'],
    ['before login', `a APPEND b {9000+}\r\n${x(9000)}\r\n`, 'LIMIT'],
  ])('refused: %s; the next command is read as ever', async (what, text, code) => {
    const { commands, budget } = reader(`${text}b NOOP\r\n`);
    const holder = what === 'before login' ? undefined : 'alice';
    expect((await commands.next(holder))?.refusal).toMatchObject({ status: 'NO', code });
    expect(budget.free).toBe(100);
    expect((await commands.next(holder))?.text.lines).toEqual(['b NOOP']);
  });
});

describe('a message as literal8', () => {
  const HEAD = 'Content-Transfer-Encoding: binary\r\n\r\n';
  const IN_BASE64 = 'Content-Transfer-Encoding: base64\r\n\r\n';
  const append = (text: string): string => `a APPEND b ~{${text.length}+}\r\n${text}\r\n`;
  const roomy = (text: string, octets = 1_000) =>
    reader(text, new MemoryBudget({ octets, perHolder: octets }), 120);
  const messageOf = (received: ReceivedCommand | undefined): string | undefined =>
    received?.text.literals.map((pieces) => Buffer.concat([...pieces]).toString('latin1')).join();

  test.each([
    ['of text is stored as it is', `${HEAD}a\r\nb`, `${HEAD}a\r\nb`],
    ['has its lines mended where nothing is binary', 'A: b\n\na\nb', 'A: b\r\n\r\na\r\nb'],
    ['goes into base64 for NUL', `${HEAD}a\0b`, `${IN_BASE64}YQBi\r\n`],
    [
      'and for bare line feeds, its header mended',
      `${HEAD}a\nb`.replaceAll('\r', ''),
      `${IN_BASE64}YQpi\r\n`,
    ],
  ])('%s', async (_, text, stored) => {
    const { commands, budget } = roomy(`${append(text)}b NOOP\r\n`);
    const received = await commands.next('alice');
    expect(received?.refusal).toBeUndefined();
    expect(messageOf(received)).toBe(stored);
    received?.release();
    expect(budget.free).toBe(1_000);
    expect((await commands.next('alice'))?.text.lines).toEqual(['b NOOP']);
  });

  test.each([
    ['with NUL elsewhere', 'A: b\r\n\r\na\0b', 1_000, 'UNKNOWN-CTE'],
    ['with NUL in a header', `A: \0\r\n${HEAD}a\0b`, 1_000, 'UNKNOWN-CTE'],
    ['grown beyond the limit', `${HEAD}${'\0'.repeat(80)}`, 1_000, 'TOOBIG'],
    ['without room for it twice', `${HEAD}\0`, 60, 'UNAVAILABLE'],
    ['without room for what it becomes', `${HEAD}\0`, 100, 'UNAVAILABLE'],
  ])('is refused %s; the next command is read as ever', async (_, text, room, code) => {
    const { commands, budget } = roomy(`${append(text)}b NOOP\r\n`, room);
    const received = await commands.next('alice');
    expect(received?.refusal).toMatchObject({ status: 'NO', code });
    expect(budget.free).toBe(room);
    expect((await commands.next('alice'))?.text.lines).toEqual(['b NOOP']);
  });

  test('comes back as it was from what is stored', async () => {
    const octets = fc.uint8Array({ maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(octets, async (body) => {
        const text = `${HEAD}${Buffer.from(body).toString('latin1')}`;
        const { commands } = roomy(append(text));
        const stored = Buffer.from(messageOf(await commands.next('alice')) ?? '', 'latin1');
        expect(stored.includes(0)).toBe(false);
        const { root } = parseMessage(stored);
        const decoder = createTransferDecoder(root.encoding);
        const decoded =
          decoder?.decode(stored.subarray(root.bodyStart, root.bodyEnd)) ?? Buffer.alloc(0);
        expect(Buffer.concat([decoded, decoder?.end() ?? Buffer.alloc(0)])).toEqual(
          Buffer.from(body),
        );
      }),
    );
  });
});

describe('an account without room', () => {
  const LARGE = 70_000;

  const readerOf = (text: string, room: number) => {
    const said = new Said(text);
    const budget = new MemoryBudget({ octets: 10 * LARGE, perHolder: 10 * LARGE });
    const asked: Coming[] = [];
    const limits = { maxMessageOctets: 2 * LARGE, budget };
    const commands = new CommandReader(said, said, limits, async (coming) => {
      asked.push({ ...coming });
      return coming.octets <= room;
    });
    return { commands, said, asked };
  };

  test('is told before a large message comes', async () => {
    const { commands, said } = readerOf(`a APPEND b {${LARGE}}\r\nb NOOP\r\n`, LARGE - 1);
    expect((await commands.next('alice'))?.refusal).toMatchObject({ code: 'OVERQUOTA' });
    expect(said.goAheads).toEqual([]);
    expect((await commands.next('alice'))?.text.lines).toEqual(['b NOOP']);
  });

  test('is told of all messages of a command together', async () => {
    const literal = `{${LARGE}+}\r\n${x(LARGE)}`;
    const { commands, asked } = readerOf(`a APPEND b ${literal} ${literal}\r\n`, LARGE);
    expect((await commands.next('alice'))?.refusal).toMatchObject({ code: 'OVERQUOTA' });
    expect(asked).toEqual([
      { octets: LARGE, messages: 1 },
      { octets: 2 * LARGE, messages: 2 },
    ]);
  });

  test.each([
    ['a small message', 'a APPEND b {3+}\r\nabc\r\n'],
    ['REPLACE, which may free more', `a REPLACE 1 b {${LARGE}+}\r\n${x(LARGE)}\r\n`],
  ])('is not looked at for %s', async (_, text) => {
    const { commands, asked } = readerOf(text, 0);
    expect((await commands.next('alice'))?.refusal).toBeUndefined();
    expect(asked).toEqual([]);
  });
});

describe('literals without end', () => {
  const MANY = 1_000;

  test.each([
    ['before login', undefined, 8],
    ['after it', 'alice', 128],
  ])('end the session %s', async (_, holder, most) => {
    const { commands, said } = reader(`a LOGIN${' {0+}\r\n'.repeat(MANY)}`);
    let read = 0;
    const { readLine } = said;
    said.readLine = () => {
      read += 1;
      return readLine.call(said);
    };
    await expect(commands.next(holder)).rejects.toThrow('[LIMIT] Too many literals');
    expect(read).toBeLessThanOrEqual(most + 2);
  });

  test('as many as LOGIN needs are taken', async () => {
    const { commands } = reader('a LOGIN {1+}\r\na {1+}\r\nb\r\n');
    expect(await commands.next(undefined)).toMatchObject({ refusal: undefined });
  });
});

describe('memory', () => {
  const append = (octets: number): string => `a APPEND b {${octets}+}\r\n${x(octets)}\r\n`;

  test('who holds a share leaves room for others', async () => {
    const { commands, budget } = reader(append(40) + append(30) + append(20));
    await commands.next('alice');
    const refused = await commands.next('alice');
    expect(refused?.refusal).toMatchObject({ status: 'NO', code: 'UNAVAILABLE' });
    expect(budget.free).toBe(60);
    expect((await commands.next('bob'))?.refusal).toBeUndefined();
    expect(budget.free).toBe(40);
  });

  test('a client that waits hears at once that there is no room', async () => {
    const budget = new MemoryBudget({ octets: 10, perHolder: 10 });
    const { commands, said } = reader('a APPEND b {20}\r\n', budget);
    expect((await commands.next('alice'))?.refusal).toMatchObject({ code: 'UNAVAILABLE' });
    expect(said.goAheads).toEqual([]);
  });

  test('is given back when the client goes away', async () => {
    const { commands, budget } = reader(`a APPEND b {8+}\r\n${x(8)}`);
    expect(await commands.next('alice')).toBeUndefined();
    expect(budget.free).toBe(100);
  });
});
