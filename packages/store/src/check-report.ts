/** What a check of the store is asked, and what it tells. */

export type FaultCode =
  /** The engine's own files are not whole, or cannot be read. */
  | 'database-damaged'
  /** Rows that belong to a row which is not there. */
  | 'rows-of-nothing'
  | 'subscription-of-nobody'
  | 'annotation-of-nothing'
  /** To a mailbox that is gone, or of an account that is. */
  | 'rights-of-nothing'
  | 'inbox-missing'
  /** An account's domain is not here: only whole addresses of accounts get mail. */
  | 'domain-missing'
  /** The next mailbox could get a UIDVALIDITY that another has had. */
  | 'uid-validity-behind'
  | 'mailbox-counters'
  | 'uid-next-behind'
  | 'modseq-behind'
  /** A message is there, and its UID is told to be gone. */
  | 'uid-there-and-gone'
  /** What a session takes for the UIDs of a mailbox. */
  | 'uid-set'
  | 'keywords-untold'
  | 'reference-count'
  /** The stored MIME structure does not parse, is of another message, or of an older format. */
  | 'structure-unusable'
  | 'message-size'
  /** Octets are missing, or more than they should be. */
  | 'content-lost'
  | 'message-lost';

export type FaultOutcome =
  | 'mended'
  /** Can be mended and nothing is lost by it. */
  | 'mendable'
  /** A lost message was expunged, since that was asked for. */
  | 'dropped'
  /** Nothing here brings it back: a backup may. */
  | 'lost'
  /** Wants a person who knows the database. */
  | 'not-mendable';

export interface Fault {
  readonly code: FaultCode;
  /** What is at fault, for the operator: "mailbox Sent of alice@example.com". */
  readonly where: string;
  /** What is wrong with it. */
  readonly what: string;
  readonly outcome: FaultOutcome;
}

export const CHECK_STEPS = [
  'database',
  'accounts',
  'contents',
  'messages',
  'references',
  'mailboxes',
] as const;
export type CheckStep = (typeof CHECK_STEPS)[number];

export interface CheckProgress {
  readonly step: CheckStep;
  readonly done: number;
  /** About; 0 where nobody knows. */
  readonly of: number;
}

export interface CheckOptions {
  /** Leaves out what takes the engine longest: that indexes agree with their tables. */
  readonly quick?: boolean;
  /** Mends what can be mended without losing anything. */
  readonly repair?: boolean;
  /** Expunges messages whose octets are lost. */
  readonly dropLost?: boolean;
  /** Each fault once, after what was done about it. */
  readonly onFault: (fault: Fault) => void;
  readonly onProgress?: (progress: CheckProgress) => void;
}

export interface CheckReport {
  readonly mailboxes: number;
  readonly messages: number;
  readonly contents: number;
  /** All that were told. */
  readonly faults: number;
  /** Those of them that are neither mended nor dropped. */
  readonly remaining: number;
}
