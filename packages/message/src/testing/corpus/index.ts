/** Messages as they come, and as they should not come, all written for this: see the golden file of each topic. */
import { ADDRESSES } from './addresses.ts';
import { CHARSETS } from './charsets.ts';
import type { CorpusEntry } from './entry.ts';
import { EXTREMES } from './extremes.ts';
import { HEADERS } from './headers.ts';
import { MEDIA_TYPES } from './media-types.ts';
import { MULTIPARTS } from './multiparts.ts';
import { REPORTS } from './reports.ts';

export { CHARSETS } from './charsets.ts';
export type { CorpusEntry } from './entry.ts';

/** By topic. */
export const CORPUS: Readonly<Record<string, readonly CorpusEntry[]>> = {
  addresses: ADDRESSES,
  charsets: CHARSETS,
  extremes: EXTREMES,
  headers: HEADERS,
  'media-types': MEDIA_TYPES,
  multiparts: MULTIPARTS,
  reports: REPORTS,
};
