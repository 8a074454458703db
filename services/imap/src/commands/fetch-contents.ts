/**
 * What FETCH reads of the contents of many messages at once: structures, what is ready to be told, small
 * messages whole. What is larger, fetch-sections.ts reads when it is told.
 */
import type { MessageStructure } from '@mail/message';
import type { RenderedContent, Uid } from '@mail/store';
import type { FetchItem } from '../parser/fetch.ts';
import type { Session } from '../session.ts';
import type { Described } from '../summaries.ts';
import { isContent, isWholeMessage } from './fetch-sections.ts';

/** Messages up to this are read whole with others, whatever is asked of them. */
const SMALL_OCTETS = 32 * 1024;

/** What the items of a FETCH have read beyond summaries. */
export interface Needs {
  readonly structure: boolean;
  readonly rendered: boolean;
  readonly emailId: boolean;
  readonly preview: boolean;
  /** Of the message itself. */
  readonly octets: boolean;
  readonly anyContents: boolean;
}

export interface Contents {
  readonly structures: Map<Uid, MessageStructure> | undefined;
  readonly rendered: Map<Uid, RenderedContent> | undefined;
  readonly emailIds: Map<Uid, string> | undefined;
  readonly wholes: Map<Uid, Buffer> | undefined;
}

/** One message of the answer, with what is at hand to describe it. */
export interface Fetched extends Described {
  readonly structure?: MessageStructure | undefined;
  readonly rendered?: RenderedContent | undefined;
  readonly emailId?: string | undefined;
  /** All its octets, where it is small. */
  readonly whole?: Buffer | undefined;
  readonly preview?: string;
}

export function needsOf(items: readonly FetchItem[]): Needs {
  const asks = (...kinds: FetchItem['kind'][]) => items.some(({ kind }) => kinds.includes(kind));
  const contents = items.filter(isContent);
  const structure = asks('body', 'preview') || contents.some((item) => !isWholeMessage(item));
  const rendered = asks('envelope', 'body-structure');
  const emailId = asks('email-id');
  const octets = contents.length > 0;
  const anyContents = structure || rendered || emailId || octets;
  return { structure, rendered, emailId, preview: asks('preview'), octets, anyContents };
}

/** `messages` ascending; of those that are gone there is nothing. */
export async function readContents(
  session: Session,
  messages: readonly Described[],
  needs: Needs,
): Promise<Contents> {
  const { messages: stored } = session.store;
  const { id } = session.selected.mailbox;
  const uids = messages.map(({ uid }) => uid);
  const rendered = needs.rendered ? await stored.rendered(id, uids) : undefined;
  const structures = needs.structure
    ? await stored.structures(id, uids)
    : rendered && (await readUnrendered(session, uids, rendered));
  const small = needs.octets ? messages.filter(({ message }) => message.size <= SMALL_OCTETS) : [];
  return {
    rendered,
    structures,
    emailIds: needs.emailId ? await stored.emailIds(id, uids) : undefined,
    wholes:
      small.length === 0
        ? undefined
        : await stored.readSmall(
            id,
            small.map(({ uid }) => uid),
          ),
  };
}

/** Of those whose rendering depends on the client. */
async function readUnrendered(
  { store, selected }: Session,
  uids: readonly Uid[],
  rendered: Map<Uid, RenderedContent>,
): Promise<Map<Uid, MessageStructure> | undefined> {
  const wanted = uids.filter((uid) => {
    const ready = rendered.get(uid);
    return (
      ready !== undefined && (ready.envelope === undefined || ready.bodyStructure === undefined)
    );
  });
  return wanted.length === 0 ? undefined : store.messages.structures(selected.mailbox.id, wanted);
}

/** A message with its part of `contents`; undefined where some of that is gone with it. */
export function contentsOf(
  { structures, rendered, emailIds, wholes }: Contents,
  described: Described,
  needs: Needs,
): Fetched | undefined {
  const { uid } = described;
  const fetched = {
    ...described,
    structure: structures?.get(uid),
    rendered: rendered?.get(uid),
    emailId: emailIds?.get(uid),
    whole: wholes?.get(uid),
  };
  if (needs.structure && fetched.structure === undefined) return undefined;
  if (needs.rendered && fetched.rendered === undefined) return undefined;
  if (needs.emailId && fetched.emailId === undefined) return undefined;
  return fetched;
}
