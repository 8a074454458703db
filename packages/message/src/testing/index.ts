export { askServer } from './ask-server.ts';
export { CORPUS, type CorpusEntry } from './corpus/index.ts';
export { askDovecot, hasDovecot } from './dovecot.ts';
export { type ImapData, ImapReader } from './imap-data.ts';
