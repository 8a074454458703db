/**
 * FETCH of items that are ready to be told, which is what clients ask of whole mailboxes: each is read as one
 * column of a page, and nothing else is made of a message but its line.
 */
import type { Uid } from '@mail/store';
import type { Numbered } from '../mailbox-view.ts';
import type { FetchItem } from '../parser/fetch.ts';
import { encodeFlags } from '../response.ts';
import type { Session } from '../session.ts';

/** What is told of each message of a page: null where that depends on the client, undefined where it is gone. */
type Column = (string | null | undefined)[];

const READY: ReadonlySet<FetchItem['kind']> = new Set([
  'uid',
  'flags',
  'envelope',
  'body-structure',
]);

/** UID alone does not tell whether a message is there. */
export function areColumns(items: readonly FetchItem[]): boolean {
  return items.every(({ kind }) => READY.has(kind)) && items.some(({ kind }) => kind !== 'uid');
}

/** Tells a page; undefined where something of it depends on the client, and then nothing was told. */
export async function tellColumns(
  session: Session,
  page: readonly Numbered[],
  items: readonly FetchItem[],
): Promise<{ readonly missing: boolean } | undefined> {
  const uids = page.map(({ uid }) => uid);
  const columns: Column[] = [];
  for (const { kind } of items) columns.push(await readColumn(session, uids, kind));
  if (columns.some((column) => column.includes(null))) return undefined;
  const { view } = session.selected;
  const tellsFlags = items.some(({ kind }) => kind === 'flags');
  let missing = false;
  let text = '';
  for (const [index, numbered] of page.entries()) {
    let line = '';
    for (const column of columns) {
      const told = column[index];
      if (told === undefined) {
        line = '';
        break;
      }
      line += line === '' ? told : ` ${told}`;
    }
    if (line === '') missing = true;
    else {
      if (tellsFlags) view.told(numbered);
      text += `${session.fetchHead(numbered)}${line})\r\n`;
    }
  }
  session.response.raw(text);
  return { missing };
}

async function readColumn(
  { store, selected }: Session,
  uids: readonly Uid[],
  kind: FetchItem['kind'],
): Promise<Column> {
  const { messages } = store;
  const { id } = selected.mailbox;
  switch (kind) {
    case 'uid':
      return uids.map((uid) => `UID ${uid}`);
    case 'flags': {
      // few lists of flags stand for many messages
      const encoded = new Map<readonly string[] | undefined, string | undefined>([
        [undefined, undefined],
      ]);
      return (await messages.flags(id, uids)).map((flags) => {
        if (flags !== undefined && !encoded.has(flags)) {
          encoded.set(flags, `FLAGS ${encodeFlags(flags)}`);
        }
        return encoded.get(flags);
      });
    }
    case 'envelope':
      return headed('ENVELOPE', await messages.rendered(id, uids, 'envelope'));
    case 'body-structure':
      return headed('BODYSTRUCTURE', await messages.rendered(id, uids, 'body-structure'));
    default:
      throw new Error(`${kind} is no column`);
  }
}

function headed(name: string, texts: Column): Column {
  return texts.map((text) => text && `${name} ${text}`);
}
