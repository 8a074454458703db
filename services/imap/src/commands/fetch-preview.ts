/** The PREVIEW item of one FETCH answer (RFC 8970), made of the message's first octets when it is asked for. */
import { previewedPiece, previewText } from '@mail/message';
import { StoreError } from '@mail/store';
import type { Session } from '../session.ts';
import type { Turns } from '../turns.ts';
import type { Fetched } from './fetch-contents.ts';

/** Empty where there is no text; undefined where the message is gone. `turns` in octets. */
export async function readPreview(
  { store, selected }: Session,
  { uid, structure, whole }: Fetched,
  turns: Turns,
): Promise<string | undefined> {
  const piece = structure && previewedPiece(structure);
  if (piece === undefined) return '';
  const { start, end } = piece;
  if (whole !== undefined) return previewText(whole.subarray(start, end), piece);
  try {
    const octets = await store.messages.read(selected.mailbox.id, uid, start, end);
    await turns.spend(octets.length);
    return previewText(octets, piece);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'no-such-message') return undefined;
    throw error;
  }
}
