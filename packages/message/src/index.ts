export * from './body-structure.ts';
export * from './envelope.ts';
export * from './structure.ts';
