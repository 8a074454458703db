/**
 * The items of a FETCH answer that need not be read from the message (RFC 3501 §7.4.2, RFC 9051 §7.5.2; RFC 7162;
 * RFC 8474 §5; RFC 8514; RFC 8970).
 */
import { type RenderingMode, renderBody, renderBodyStructure, renderEnvelope } from '@mail/message';
import { formatDateTime } from '../parser/date.ts';
import type { ContentItem, FetchItem } from '../parser/fetch.ts';
import { encodeFlags } from '../response.ts';
import type { Session } from '../session.ts';
import type { Fetched } from './fetch-contents.ts';

function renderingMode({ strings, enabled }: Session): RenderingMode {
  return { strings, rev2: enabled.has('IMAP4rev2') };
}

/** Of what needsOf said that it is to be read. */
function required<T>(read: T | undefined): T {
  if (read === undefined) throw new Error('an item is told that was not read');
  return read;
}

export function renderItem(
  session: Session,
  { uid, message, flags, structure, envelope, bodyStructure, emailId, preview }: Fetched,
  item: Exclude<FetchItem, ContentItem>,
): string {
  switch (item.kind) {
    case 'flags':
      session.selected.view.told({ uid, modSeq: message?.modSeq });
      return `FLAGS ${encodeFlags(required(message?.flags ?? flags))}`;
    case 'internal-date':
      return `INTERNALDATE "${formatDateTime(required(message).internalDate)}"`;
    case 'size':
      return `RFC822.SIZE ${required(message).size}`;
    case 'uid':
      return `UID ${uid}`;
    case 'email-id':
      return `EMAILID (${emailId})`;
    case 'modseq':
      return `MODSEQ (${required(message).modSeq})`;
    case 'preview':
      return `PREVIEW ${session.strings.nullable(preview)}`;
    case 'save-date':
      return `SAVEDATE "${formatDateTime(new Date(required(message).savedAt))}"`;
    case 'thread-id':
      // threads are not kept (RFC 8474 §5.2)
      return 'THREADID NIL';
    case 'envelope':
      return `ENVELOPE ${envelope ?? renderEnvelope(required(structure).envelope, session.strings)}`;
    case 'body':
      return `BODY ${renderBody(required(structure).root, renderingMode(session))}`;
    case 'body-structure': {
      const told =
        bodyStructure ?? renderBodyStructure(required(structure).root, renderingMode(session));
      return `BODYSTRUCTURE ${told}`;
    }
  }
}
