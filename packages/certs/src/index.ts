export * from './current-material.ts';
export * from './errors.ts';
export { buildMaterial, fingerprintOf, type Material } from './material.ts';
export * from './subscriber.ts';
export * from './tls-listener.ts';
