export * from './errors.ts';
export * from './mail-store.ts';
export * from './open-store.ts';
export * from './settings.ts';
