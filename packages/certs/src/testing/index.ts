export * from './self-signed.ts';
export * from './static-certificates.ts';
