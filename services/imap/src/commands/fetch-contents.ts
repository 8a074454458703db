/**
 * What FETCH reads of the contents of many messages at once: structures, what is ready to be told, small
 * messages whole. What is larger, fetch-sections.ts reads when it is told.
 */
import type { MessageStructure } from '@mail/message';
import type { MessageSummary, RenderedItem, Uid } from '@mail/store';
import type { Numbered } from '../mailbox-view.ts';
import type { FetchItem } from '../parser/fetch.ts';
import type { Session } from '../session.ts';
import { isContent, isOwnHeader, isWholeMessage } from './fetch-sections.ts';

/** Messages up to this are read whole with others, whatever is asked of them. */
const SMALL_OCTETS = 32 * 1024;

/** What the items of a FETCH have read beyond summaries. */
export interface Needs {
  readonly structure: boolean;
  /** Where the header ends: of small messages that is found without their structures. */
  readonly header: boolean;
  readonly envelope: boolean;
  readonly bodyStructure: boolean;
  readonly emailId: boolean;
  readonly preview: boolean;
  /** Of the message itself. */
  readonly octets: boolean;
  readonly anyContents: boolean;
  /** Of its row, more than UID and flags. */
  readonly summary: boolean;
  /** Without a summary: those that are asked for, and which messages are still there. */
  readonly flags: boolean;
}

type Texts = Map<Uid, string | null | undefined>;

export interface Contents {
  readonly structures: Map<Uid, MessageStructure>;
  readonly envelopes: Texts | undefined;
  readonly bodyStructures: Texts | undefined;
  readonly emailIds: Map<Uid, string> | undefined;
  readonly wholes: Map<Uid, Buffer> | undefined;
}

/** A message of which is told, with what its row says of it, as far as the items ask for that. */
export interface Asked extends Numbered {
  readonly message?: MessageSummary;
  readonly flags?: readonly string[];
}

/** One message of the answer, with what is at hand to describe it. */
export interface Fetched extends Asked {
  readonly structure?: MessageStructure | undefined;
  readonly envelope?: string | undefined;
  readonly bodyStructure?: string | undefined;
  readonly emailId?: string | undefined;
  /** All its octets, where it is small. */
  readonly whole?: Buffer | undefined;
  readonly preview?: string;
}

export function needsOf(items: readonly FetchItem[]): Needs {
  const asks = (...kinds: FetchItem['kind'][]) => items.some(({ kind }) => kinds.includes(kind));
  const contents = items.filter(isContent);
  const inMessage = contents.filter((item) => !isWholeMessage(item));
  const needs = {
    structure: asks('body', 'preview') || inMessage.some((item) => !isOwnHeader(item)),
    header: inMessage.some(isOwnHeader),
    envelope: asks('envelope'),
    bodyStructure: asks('body-structure'),
    emailId: asks('email-id'),
    preview: asks('preview'),
    octets: contents.length > 0,
  };
  const summary = needs.octets || asks('internal-date', 'modseq', 'preview', 'save-date', 'size');
  const anyContents = Object.values(needs).includes(true);
  return { ...needs, summary, anyContents, flags: !summary && (asks('flags') || !anyContents) };
}

/** `messages` ascending; of those that are gone there is nothing. */
export async function readContents(
  session: Session,
  messages: readonly Asked[],
  needs: Needs,
): Promise<Contents> {
  const { messages: stored } = session.store;
  const { id } = session.selected.mailbox;
  const uids = messages.map(({ uid }) => uid);
  const [small, large] = needs.octets ? bySize(messages) : [[], []];
  const rendered = async (item: RenderedItem): Promise<Texts> => {
    const texts = await stored.rendered(id, uids, item);
    const found = uids.map((uid, index): [Uid, string | null | undefined] => [uid, texts[index]]);
    return new Map(found.filter(([, text]) => text !== undefined));
  };
  const envelopes = needs.envelope ? await rendered('envelope') : undefined;
  const bodyStructures = needs.bodyStructure ? await rendered('body-structure') : undefined;
  const wanting = needs.structure ? uids : uidsWanting(envelopes, bodyStructures);
  const structured = new Set([...wanting, ...(needs.header ? large : [])]);
  const ascending = [...structured].sort((a, b) => a - b);
  return {
    envelopes,
    bodyStructures,
    structures: ascending.length === 0 ? new Map() : await stored.structures(id, ascending),
    emailIds: needs.emailId ? await stored.emailIds(id, uids) : undefined,
    wholes: small.length === 0 ? undefined : await stored.readSmall(id, small),
  };
}

function bySize(messages: readonly Asked[]): [small: Uid[], large: Uid[]] {
  const isSmall = ({ message }: Asked) =>
    message !== undefined && message.size > 0 && message.size <= SMALL_OCTETS;
  const small = messages.filter(isSmall).map(({ uid }) => uid);
  const large = messages.filter((one) => !isSmall(one)).map(({ uid }) => uid);
  return [small, large];
}

/** Those of which clients are told differently. */
function uidsWanting(...found: readonly (Texts | undefined)[]): Uid[] {
  return found.flatMap((texts) =>
    [...(texts ?? [])].filter(([, text]) => text === null).map(([uid]) => uid),
  );
}

/** A message with its part of `contents`; undefined where some of that is gone with it. */
export function contentsOf(
  { structures, envelopes, bodyStructures, emailIds, wholes }: Contents,
  asked: Asked,
  needs: Needs,
): Fetched | undefined {
  const { uid } = asked;
  const structure = structures.get(uid);
  const whole = wholes?.get(uid);
  const envelope = envelopes?.get(uid) ?? undefined;
  const bodyStructure = bodyStructures?.get(uid) ?? undefined;
  const emailId = emailIds?.get(uid);
  const gone =
    (needs.structure && structure === undefined) ||
    (needs.header && structure === undefined && whole === undefined) ||
    (needs.envelope && structure === undefined && envelope === undefined) ||
    (needs.bodyStructure && structure === undefined && bodyStructure === undefined) ||
    (needs.emailId && emailId === undefined);
  return gone ? undefined : { ...asked, structure, whole, envelope, bodyStructure, emailId };
}
