/**
 * The items of a FETCH answer that need not be read from the message (RFC 3501 §7.4.2, RFC 9051 §7.5.2; RFC 7162;
 * RFC 8474 §5; RFC 8514; RFC 8970).
 */
import {
  type MessageStructure,
  type RenderingMode,
  renderBody,
  renderBodyStructure,
  renderEnvelope,
} from '@mail/message';
import { formatDateTime } from '../parser/date.ts';
import type { ContentItem, FetchItem } from '../parser/fetch.ts';
import { encodeFlags } from '../response.ts';
import type { Session } from '../session.ts';
import type { Fetched } from './fetch-contents.ts';

function renderingMode({ strings, enabled }: Session): RenderingMode {
  return { strings, rev2: enabled.has('IMAP4rev2') };
}

function required(structure: MessageStructure | undefined): MessageStructure {
  if (structure === undefined) throw new Error('the structure was to be read: see readContents');
  return structure;
}

export function renderItem(
  session: Session,
  { message, structure, rendered, emailId, preview }: Fetched,
  item: Exclude<FetchItem, ContentItem>,
): string {
  switch (item.kind) {
    case 'flags':
      session.selected.view.told(message);
      return `FLAGS ${encodeFlags(message.flags)}`;
    case 'internal-date':
      return `INTERNALDATE "${formatDateTime(message.internalDate)}"`;
    case 'size':
      return `RFC822.SIZE ${message.size}`;
    case 'uid':
      return `UID ${message.uid}`;
    case 'email-id':
      return `EMAILID (${emailId})`;
    case 'modseq':
      return `MODSEQ (${message.modSeq})`;
    case 'preview':
      return `PREVIEW ${session.strings.nullable(preview)}`;
    case 'save-date':
      return `SAVEDATE "${formatDateTime(new Date(message.savedAt))}"`;
    case 'thread-id':
      // threads are not kept (RFC 8474 §5.2)
      return 'THREADID NIL';
    case 'envelope': {
      const envelope =
        rendered?.envelope ?? renderEnvelope(required(structure).envelope, session.strings);
      return `ENVELOPE ${envelope}`;
    }
    case 'body':
      return `BODY ${renderBody(required(structure).root, renderingMode(session))}`;
    case 'body-structure': {
      const bodyStructure =
        rendered?.bodyStructure ??
        renderBodyStructure(required(structure).root, renderingMode(session));
      return `BODYSTRUCTURE ${bodyStructure}`;
    }
  }
}
