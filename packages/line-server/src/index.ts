export * from './connection.ts';
export * from './errors.ts';
export * from './limits.ts';
export * from './line-reader.ts';
export * from './listener.ts';
export * from './proxy-protocol.ts';
export * from './server.ts';
export { SessionLog } from './session-log.ts';
export * from './tls-acceptor.ts';
