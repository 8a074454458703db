export { type AccountAddress, parseAddress } from './addresses.ts';
export * from './check-report.ts';
export { CHUNK_BYTES } from './content.ts';
export * from './errors.ts';
export * from './mail-store.ts';
export { compareNames, INBOX, isInferior, parseMailboxName, superiorsOf } from './mailbox-names.ts';
export { SPECIAL_USES } from './mailboxes.ts';
export * from './open-store.ts';
export * from './settings.ts';
