/**
 * The table of commands: where each may come, how it is read, what it does, what CAPABILITY says because
 * of it. To add one: parser/x.ts, commands/x.ts, a line here.
 */
import { parseIdentified, parseSetAcl } from '../parser/acl.ts';
import { parseAppend, parseReplace } from '../parser/append.ts';
import {
  parseAuthenticate,
  parseCopy,
  parseId,
  parseLogin,
  parseNothing,
  parseUidExpunge,
} from '../parser/command.ts';
import { parseFetch } from '../parser/fetch.ts';
import { parseStore } from '../parser/flags.ts';
import {
  parseCreate,
  parseList,
  parseLsub,
  parseOneMailbox,
  parseRename,
  parseStatus,
} from '../parser/mailbox.ts';
import { parseGetMetadata, parseSetMetadata } from '../parser/metadata.ts';
import { parseNotify } from '../parser/notify.ts';
import { parseQuotaRoot, parseSetQuota } from '../parser/quota.ts';
import { parseSearch } from '../parser/search.ts';
import { parseEnable, parseSelect } from '../parser/select.ts';
import { parseSort, parseThread } from '../parser/sort.ts';
import type { Completion, Numbering, Session } from '../session.ts';
import type { StateName } from '../state.ts';
import { deleteAcl, getAcl, listRights, myRights, setAcl } from './acl.ts';
import { append } from './append.ts';
import { type Command, type CommandRule, command } from './command.ts';
import { capability, id, logout, namespace, noop, startTls } from './connection.ts';
import { copy, move } from './copy.ts';
import { enable } from './enable.ts';
import { expunge } from './expunge.ts';
import { fetch } from './fetch.ts';
import { idle } from './idle.ts';
import { list, lsub } from './list.ts';
import { authenticate, login } from './login.ts';
import { create, remove, rename, subscribe, unsubscribe } from './mailboxes.ts';
import { getMetadata, setMetadata } from './metadata.ts';
import { notify } from './notify.ts';
import { getQuota, getQuotaRoot, setQuota } from './quota.ts';
import { replace } from './replace.ts';
import { search } from './search.ts';
import { close, examine, select, unselect } from './select.ts';
import { sort } from './sort.ts';
import { status } from './status.ts';
import { store } from './store.ts';
import { thread } from './thread.ts';

const BEFORE_LOGIN: readonly StateName[] = ['not-authenticated'];
const SELECTED: readonly StateName[] = ['selected'];
const LOGGED_IN: readonly StateName[] = ['authenticated', 'selected'];
const ANY: readonly StateName[] = [...BEFORE_LOGIN, ...LOGGED_IN];

interface NumberedRule<Arguments> extends Omit<CommandRule<Arguments>, 'handle'> {
  readonly handle: (
    session: Session,
    parsed: Arguments,
    numbering: Numbering,
  ) => Promise<Completion> | Completion;
}

/**
 * A command that names messages, in its two forms: by sequence number, as long as those may be used, and
 * behind UID by UID. The latter names no number, so EXPUNGE may come with it (RFC 3501 §7.4.1).
 */
function inBothForms<Arguments>(
  verb: string,
  { handle, keepsNumbers = false, ...rule }: NumberedRule<Arguments>,
): [string, Command][] {
  const form = (numbering: Numbering): Command =>
    command({
      ...rule,
      handle: (session, parsed) => {
        if (numbering === 'sequence') session.requireNumbers();
        return handle(session, parsed, numbering);
      },
      keepsNumbers: keepsNumbers && numbering === 'sequence',
    });
  return [
    [verb, form('sequence')],
    [`UID ${verb}`, form('uid')],
  ];
}

export const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  [
    'CAPABILITY',
    // non-synchronising literals are the reader's, at any command (RFC 7888)
    command({ states: ANY, parse: parseNothing, handle: capability, capability: ['LITERAL+'] }),
  ],
  ['NOOP', command({ states: ANY, parse: parseNothing, handle: noop })],
  ['LOGOUT', command({ states: ANY, parse: parseNothing, handle: logout })],
  ['ID', command({ states: ANY, parse: parseId, handle: id, capability: ['ID'] })],

  ['STARTTLS', command({ states: BEFORE_LOGIN, parse: parseNothing, handle: startTls })],
  ['LOGIN', command({ states: BEFORE_LOGIN, parse: parseLogin, handle: login })],
  [
    'AUTHENTICATE',
    command({
      states: BEFORE_LOGIN,
      parse: parseAuthenticate,
      handle: authenticate,
      capability: ['SASL-IR'],
    }),
  ],

  [
    'ENABLE',
    command({
      states: LOGGED_IN,
      parse: parseEnable,
      handle: enable,
      capability: ['ENABLE', 'UIDONLY', 'UTF8=ACCEPT'],
    }),
  ],
  [
    'SELECT',
    command({
      states: LOGGED_IN,
      parse: parseSelect,
      handle: select,
      capability: ['CONDSTORE', 'QRESYNC'],
    }),
  ],
  ['EXAMINE', command({ states: LOGGED_IN, parse: parseSelect, handle: examine })],
  [
    'CREATE',
    command({
      states: LOGGED_IN,
      parse: parseCreate,
      handle: create,
      capability: ['CREATE-SPECIAL-USE'],
    }),
  ],
  ['DELETE', command({ states: LOGGED_IN, parse: parseOneMailbox, handle: remove })],
  ['RENAME', command({ states: LOGGED_IN, parse: parseRename, handle: rename })],
  ['SUBSCRIBE', command({ states: LOGGED_IN, parse: parseOneMailbox, handle: subscribe })],
  ['UNSUBSCRIBE', command({ states: LOGGED_IN, parse: parseOneMailbox, handle: unsubscribe })],
  [
    'LIST',
    command({
      states: LOGGED_IN,
      parse: parseList,
      handle: list,
      capability: [
        'CHILDREN',
        'LIST-EXTENDED',
        'LIST-METADATA',
        'LIST-MYRIGHTS',
        'LIST-STATUS',
        'SPECIAL-USE',
      ],
    }),
  ],
  ['LSUB', command({ states: LOGGED_IN, parse: parseLsub, handle: lsub })],
  [
    'STATUS',
    command({
      states: LOGGED_IN,
      parse: parseStatus,
      handle: status,
      capability: ['STATUS=SIZE'],
    }),
  ],
  [
    'APPEND',
    command({
      states: LOGGED_IN,
      parse: parseAppend,
      handle: append,
      capability: ['BINARY', 'MULTIAPPEND'],
    }),
  ],
  [
    'NAMESPACE',
    command({
      states: LOGGED_IN,
      parse: parseNothing,
      handle: namespace,
      capability: ['NAMESPACE'],
    }),
  ],
  [
    'GETMETADATA',
    command({
      states: LOGGED_IN,
      parse: parseGetMetadata,
      handle: getMetadata,
      capability: ['METADATA'],
    }),
  ],
  ['SETMETADATA', command({ states: LOGGED_IN, parse: parseSetMetadata, handle: setMetadata })],
  [
    'NOTIFY',
    command({ states: LOGGED_IN, parse: parseNotify, handle: notify, capability: ['NOTIFY'] }),
  ],
  [
    'GETQUOTA',
    command({ states: LOGGED_IN, parse: parseQuotaRoot, handle: getQuota, capability: ['QUOTA'] }),
  ],
  [
    'GETQUOTAROOT',
    command({
      states: LOGGED_IN,
      parse: parseOneMailbox,
      handle: getQuotaRoot,
      capability: ['QUOTA=RES-MESSAGE', 'QUOTA=RES-STORAGE'],
    }),
  ],
  ['GETACL', command({ states: LOGGED_IN, parse: parseOneMailbox, handle: getAcl })],
  [
    'SETACL',
    command({
      states: LOGGED_IN,
      parse: parseSetAcl,
      handle: setAcl,
      capability: ['ACL', 'RIGHTS=kxte'],
    }),
  ],
  ['DELETEACL', command({ states: LOGGED_IN, parse: parseIdentified, handle: deleteAcl })],
  ['LISTRIGHTS', command({ states: LOGGED_IN, parse: parseIdentified, handle: listRights })],
  ['MYRIGHTS', command({ states: LOGGED_IN, parse: parseOneMailbox, handle: myRights })],
  ['SETQUOTA', command({ states: LOGGED_IN, parse: parseSetQuota, handle: setQuota })],
  ['IDLE', command({ states: LOGGED_IN, parse: parseNothing, handle: idle, capability: ['IDLE'] })],

  ['CHECK', command({ states: SELECTED, parse: parseNothing, handle: noop })],
  ['CLOSE', command({ states: SELECTED, parse: parseNothing, handle: close })],
  [
    'UNSELECT',
    command({ states: SELECTED, parse: parseNothing, handle: unselect, capability: ['UNSELECT'] }),
  ],
  [
    'EXPUNGE',
    command({ states: SELECTED, parse: parseNothing, handle: (session) => expunge(session) }),
  ],
  [
    'UID EXPUNGE',
    command({
      states: SELECTED,
      parse: parseUidExpunge,
      handle: expunge,
      capability: ['UIDPLUS'],
    }),
  ],
  ...inBothForms('SEARCH', {
    states: SELECTED,
    parse: parseSearch,
    handle: search,
    capability: ['ESEARCH', 'INPROGRESS', 'PARTIAL', 'SEARCHRES', 'WITHIN'],
    keepsNumbers: true,
  }),
  ...inBothForms('SORT', {
    states: SELECTED,
    parse: parseSort,
    handle: sort,
    capability: ['ESORT', 'SORT', 'SORT=DISPLAY'],
    keepsNumbers: true,
  }),
  ...inBothForms('THREAD', {
    states: SELECTED,
    parse: parseThread,
    handle: thread,
    capability: ['THREAD=ORDEREDSUBJECT', 'THREAD=REFERENCES'],
    keepsNumbers: true,
  }),
  ...inBothForms('FETCH', {
    states: SELECTED,
    parse: parseFetch,
    handle: fetch,
    capability: ['OBJECTID', 'PREVIEW', 'SAVEDATE'],
    keepsNumbers: true,
  }),
  ...inBothForms('STORE', {
    states: SELECTED,
    parse: parseStore,
    handle: store,
    keepsNumbers: true,
  }),
  ...inBothForms('COPY', { states: SELECTED, parse: parseCopy, handle: copy }),
  ...inBothForms('MOVE', {
    states: SELECTED,
    parse: parseCopy,
    handle: move,
    capability: ['MOVE'],
  }),
  ...inBothForms('REPLACE', {
    states: SELECTED,
    parse: parseReplace,
    handle: replace,
    capability: ['REPLACE'],
  }),
]);

/** What CAPABILITY says beyond IMAP4rev1 and IMAP4rev2, whatever the connection. */
export const EXTENSIONS: readonly string[] = [
  ...new Set([...COMMANDS.values()].flatMap(({ capability }) => capability)),
].sort();
