/** What a command may measure. A client that goes beyond gets BAD (RFC 9051 §7.1: LIMIT). */

/** Octets of one line of a command, its line end aside. */
export const MAX_LINE_OCTETS = 64 * 1024;
/** Lines and literals of one command. */
export const MAX_LITERALS = 64;
/** The same before login: LOGIN takes two. */
export const MAX_LITERALS_BEFORE_LOGIN = 4;
/** Octets of all literals of a command other than APPEND's message. */
export const MAX_SMALL_LITERAL_OCTETS = 64 * 1024;
/** The same before login, when nobody has shown who they are. */
export const MAX_LITERAL_OCTETS_BEFORE_LOGIN = 8 * 1024;
export const MAX_TAG_OCTETS = 64;
export const MAX_ATOM_OCTETS = 1024;
/** Octets of a mailbox name as it is written, after quoting. */
export const MAX_MAILBOX_OCTETS = 1024;
/** Octets of the name of an annotation (RFC 5464 §3.2), as the store has it. */
export const MAX_ENTRY_OCTETS = 512;
/** Groups of events of one NOTIFY, and mailboxes that they name. */
export const MAX_EVENT_GROUPS = 32;
export const MAX_NOTIFIED_NAMES = 256;
/** Patterns of one LIST, and their octets together: each is held against each name. */
export const MAX_PATTERNS = 32;
export const MAX_PATTERNS_OCTETS = 4 * 1024;
/** Parentheses, NOT and OR within one another. */
export const MAX_DEPTH = 32;
/** Members of one parenthesised list. */
export const MAX_LIST_ITEMS = 1000;
/** Keys of one SEARCH, nested ones included. */
export const MAX_SEARCH_KEYS = 256;
/** Ranges of one sequence set. */
export const MAX_SET_RANGES = 10_000;
/** Levels of a part number such as 1.2.3. */
export const MAX_PART_LEVELS = 64;
/** Of 2^63-1. */
export const MAX_NUMBER64_DIGITS = 19;
export const MAX_UINT32 = 0xffff_ffff;
