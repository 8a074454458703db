/** What SEARCH looks through of each content: rows of their own, which other reads do not drag along. */
import type { SearchTexts } from '@mail/message';
import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';
import type { WriteContext } from './write-context.ts';

/** Bits of `cut`: there is more of a content's headers, or its body, than its row has. */
export const CUT = { header: 1, body: 2 };

export async function insertTexts(
  db: Kysely<Schema>,
  contentId: number,
  { header, body, headerIsCut, bodyIsCut }: SearchTexts,
): Promise<void> {
  const cut = (headerIsCut ? CUT.header : 0) | (bodyIsCut ? CUT.body : 0);
  await db
    .insertInto('content_texts')
    .values({ content_id: contentId, indexed: 0, cut, header, body })
    .execute();
}

/** Of contents that are about to go. */
export async function removeTexts(
  { db, textIndex }: WriteContext,
  contentIds: readonly number[],
): Promise<void> {
  await textIndex?.remove(db, contentIds);
  await db.deleteFrom('content_texts').where('content_id', 'in', contentIds).execute();
}
