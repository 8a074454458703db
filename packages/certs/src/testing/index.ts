export * from './fake-registry.ts';
export * from './self-signed.ts';
export * from './static-certificates.ts';
