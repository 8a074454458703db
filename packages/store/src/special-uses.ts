/** Uses that a mailbox can be made for (RFC 6154 §2); \All and \Flagged are views. */
export const SPECIAL_USES: readonly string[] = [
  '\\Archive',
  '\\Drafts',
  '\\Junk',
  '\\Sent',
  '\\Trash',
];
