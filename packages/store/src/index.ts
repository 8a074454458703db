export { type AccountAddress, parseAddress, parseDomain } from './addresses.ts';
export {
  MAX_ANNOTATION_NAME_OCTETS,
  MAX_ANNOTATION_OCTETS,
  MAX_ANNOTATIONS,
  SPECIAL_USE_ANNOTATION,
} from './annotations.ts';
export * from './check-report.ts';
export { CHUNK_BYTES, MAX_MESSAGE_BYTES } from './content.ts';
export * from './errors.ts';
export * from './mail-store.ts';
export { compareNames, INBOX, isInferior, parseMailboxName, superiorsOf } from './mailbox-names.ts';
export { decodeModifiedUtf7, encodeModifiedUtf7 } from './modified-utf7.ts';
export * from './open-store.ts';
export { MAX_GRANTS, RIGHTS } from './rights.ts';
export * from './settings.ts';
export { SPECIAL_USES } from './special-uses.ts';
export { type UidBlock, UidSet } from './uid-set.ts';
