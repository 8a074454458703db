/**
 * Which messages have a text (RFC 9051 §6.4.4): substrings in any case. The database goes through the stored
 * texts itself, those that the index names or all of a page; messages whose texts are not stored, or not
 * whole, are read.
 */
import { fieldHas, fieldStart, foldedPiece, foldText, searchedPieces } from '@mail/message';
import { type Expression, type Kysely, type SqlBool, sql } from 'kysely';
import { readOctets } from './content.ts';
import { requireMailbox } from './existence.ts';
import { inGroups } from './id-groups.ts';
import type { MailboxId, SoughtText, TextPage, Uid, UidRange } from './mail-store.ts';
import type { Schema } from './schema.ts';
import { parseStructure, readUnfilled } from './search-fill.ts';
import type { TextIndex } from './search-index.ts';
import { CUT } from './search-texts.ts';

/** Looked at in one call: some 20 ms where their texts are gone through. */
const PAGE_MESSAGES = 4_096;
/** More would be gone through as fast. */
const MOST_CANDIDATES = 512;
/** Fewer messages are gone through before the index has answered. */
const WORTH_ASKING = 64;
/** Messages that one call reads. */
const MOST_READ = 64;
/** What the database compares; the rest of a longer text is compared here. */
const MAX_PATTERN = 64;

/** Plain data, to be sent to another thread. */
export interface TextQuery {
  readonly mailboxId: MailboxId;
  readonly sought: SoughtText;
  readonly range: UidRange;
}

interface Page {
  readonly first: Uid;
  readonly last: Uid;
  readonly count: number;
  /** What its contents' ids lie between. */
  readonly contents: { readonly first: number; readonly last: number };
}

/** To be called where all queries see one state. Throws StoreError (no-such-mailbox). */
export async function findText(
  db: Kysely<Schema>,
  index: TextIndex | undefined,
  { mailboxId, sought, range }: TextQuery,
): Promise<TextPage> {
  await requireMailbox(db, mailboxId);
  const page = await findPage(db, mailboxId, range);
  if (page === undefined) return { uids: [], upTo: range.last };
  const search = new TextSearch(db, mailboxId, folded(sought));
  const candidates = await findCandidates(db, index, search.sought, page);
  const found = await search.look(page, candidates);
  const more = await search.read(page, new Set(found));
  const upTo = more.upTo ?? page.last;
  const uids = [...found.filter((uid) => uid <= upTo), ...more.uids].sort((a, b) => a - b);
  return { uids, upTo };
}

function folded({ value, within }: SoughtText): SoughtText {
  return {
    value: foldText(value),
    within: typeof within === 'string' ? within : { field: within.field.toLowerCase() },
  };
}

/** The first messages of a range; undefined where it has none. */
async function findPage(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  { first, last }: UidRange,
): Promise<Page | undefined> {
  const { count, lastUid, firstContent, lastContent } = await db
    .selectFrom((eb) =>
      eb
        .selectFrom('messages')
        .select(['uid', 'content_id'])
        .where('mailbox_id', '=', mailboxId)
        .where('uid', '>=', first)
        .where('uid', '<=', last)
        .orderBy('uid')
        .limit(PAGE_MESSAGES)
        .as('page'),
    )
    .select((eb) => [
      eb.fn.countAll<number>().as('count'),
      eb.fn.max('uid').as('lastUid'),
      eb.fn.min('content_id').as('firstContent'),
      eb.fn.max('content_id').as('lastContent'),
    ])
    .executeTakeFirstOrThrow();
  if (lastUid === null || firstContent === null || lastContent === null) return undefined;
  return {
    first,
    count: Number(count),
    last: Number(count) < PAGE_MESSAGES ? last : lastUid,
    contents: { first: firstContent, last: lastContent },
  };
}

/** Undefined where all texts of the page are to be gone through. */
async function findCandidates(
  db: Kysely<Schema>,
  index: TextIndex | undefined,
  { value }: SoughtText,
  { count, contents: { first, last } }: Page,
): Promise<number[] | undefined> {
  if (index === undefined || count < WORTH_ASKING) return undefined;
  const unindexed = await db
    .selectFrom('content_texts')
    .select('content_id')
    .where((eb) => eb('indexed', '=', eb.lit(0)))
    .where('content_id', '>=', first)
    .where('content_id', '<=', last)
    .limit(MOST_CANDIDATES + 1)
    .execute();
  const most = MOST_CANDIDATES - unindexed.length;
  if (most < 0) return undefined;
  const indexed = await index.candidates(db, value, first, last, most);
  return indexed && [...indexed, ...unindexed.map(({ content_id }) => content_id)];
}

class TextSearch {
  readonly #db: Kysely<Schema>;
  readonly #mailboxId: MailboxId;
  /** Folded. */
  readonly sought: SoughtText;

  constructor(db: Kysely<Schema>, mailboxId: MailboxId, sought: SoughtText) {
    this.#db = db;
    this.#mailboxId = mailboxId;
    this.sought = sought;
  }

  /** Those whose stored texts have it. */
  async look(page: Page, candidates: readonly number[] | undefined): Promise<Uid[]> {
    if (candidates === undefined) return this.#lookAt(page);
    const found: Uid[] = [];
    for (const group of inGroups(candidates)) found.push(...(await this.#lookAt(page, group)));
    return found;
  }

  async #lookAt({ first, last }: Page, contentIds?: readonly number[]): Promise<Uid[]> {
    const hits = this.#db
      .selectFrom('messages')
      .innerJoin('content_texts', 'content_texts.content_id', 'messages.content_id')
      .where('messages.mailbox_id', '=', this.#mailboxId)
      .where('messages.uid', '>=', first)
      .where('messages.uid', '<=', last)
      .$if(contentIds !== undefined, (query) =>
        query.where('messages.content_id', 'in', contentIds ?? []),
      )
      .where(mayHave(this.sought));
    if (this.#patternIsExact()) {
      return (await hits.select('messages.uid').execute()).map(({ uid }) => uid);
    }
    const rows = await hits
      .select(['messages.uid', 'content_texts.header'])
      .$if(typeof this.sought.within === 'string', (query) => query.select('content_texts.body'))
      .execute();
    return rows
      .filter(({ header, body = '' }) => textsHave({ header, body }, this.sought))
      .map(({ uid }) => uid);
  }

  #patternIsExact(): boolean {
    const { value, within } = this.sought;
    return typeof within === 'string' && value.length <= MAX_PATTERN;
  }

  /** Those not found yet whose texts are not stored whole; `upTo` where it came to no end. */
  async read(page: Page, found: ReadonlySet<Uid>): Promise<{ uids: Uid[]; upTo?: Uid }> {
    const doubtful = (await this.#findDoubtful(page, found.size + MOST_READ + 1)).filter(
      ({ uid }) => !found.has(uid),
    );
    const uids: Uid[] = [];
    const read = doubtful.slice(0, MOST_READ);
    for (const { uid, content_id, structure } of read) {
      if (await contentHas(this.#db, content_id, structure, this.sought)) uids.push(uid);
    }
    const last = read.at(-1)?.uid;
    return doubtful.length > read.length && last !== undefined ? { uids, upTo: last } : { uids };
  }

  async #findDoubtful({ first, last, contents }: Page, most: number) {
    const { within } = this.sought;
    const cut = { body: CUT.body, text: CUT.header | CUT.body };
    const mask = typeof within === 'string' ? cut[within] : CUT.header;
    const unfilled = await readUnfilled(this.#db);
    return this.#db
      .selectFrom('messages')
      .innerJoin('structures', 'structures.content_id', 'messages.content_id')
      .select(['messages.uid', 'messages.content_id', 'structures.structure'])
      .where('messages.mailbox_id', '=', this.#mailboxId)
      .where('messages.uid', '>=', first)
      .where('messages.uid', '<=', last)
      .where((eb) =>
        eb.or([
          eb(
            'messages.content_id',
            'in',
            eb
              .selectFrom('content_texts')
              .select('content_id')
              .where((cuts) => cuts('cut', '>', cuts.lit(0)))
              .where(sql<SqlBool>`cut & ${sql.lit(mask)} <> 0`)
              .where('content_id', '>=', contents.first)
              .where('content_id', '<=', contents.last),
          ),
          eb.and([
            eb('messages.content_id', '>', unfilled.after),
            eb('messages.content_id', '<=', unfilled.upTo),
          ]),
        ]),
      )
      .orderBy('messages.uid')
      .limit(most)
      .execute();
  }
}

/** What the database can tell: all that have it, and some that have not. */
function mayHave({ value, within }: SoughtText): Expression<SqlBool> {
  const pattern = valuePattern(value);
  const header = sql<SqlBool>`content_texts.header like ${pattern} escape '\\'`;
  const body = sql<SqlBool>`content_texts.body like ${pattern} escape '\\'`;
  if (within === 'body') return body;
  if (within === 'text') return sql<SqlBool>`(${header} or ${body})`;
  const start = likePattern(fieldStart(within.field));
  return sql<SqlBool>`content_texts.header like ${start + pattern} escape '\\'`;
}

/** Of a folded value, or of as much of it as the database compares. */
export function valuePattern(value: string): string {
  // no half of a surrogate pair
  return likePattern(value.slice(0, MAX_PATTERN).replace(/[\ud800-\udbff]$/, ''));
}

function likePattern(text: string): string {
  return `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`;
}

function textsHave(
  { header, body }: { readonly header: string; readonly body: string },
  { value, within }: SoughtText,
): boolean {
  if (typeof within !== 'string') return fieldHas(header, within.field, value);
  return body.includes(value) || (within === 'text' && header.includes(value));
}

/** What is damaged has no text. */
async function contentHas(
  db: Kysely<Schema>,
  contentId: number,
  structureJson: string,
  sought: SoughtText,
): Promise<boolean> {
  const structure = parseStructure(structureJson);
  if (structure === undefined) return false;
  const pieces = searchedPieces(structure);
  const { value, within } = sought;
  if (value === '' && typeof within === 'string') return true;
  const looked = typeof within === 'string' ? pieces : pieces.slice(0, 1);
  for (const piece of looked) {
    if (within === 'body' && piece.kind === 'header') continue;
    const octets = await readOctets(db, contentId, piece.start, piece.end);
    if (octets === undefined) return false;
    const text = foldedPiece(octets, piece);
    const texts = piece.kind === 'header' ? { header: text, body: '' } : { header: '', body: text };
    if (textsHave(texts, sought)) return true;
  }
  return false;
}
