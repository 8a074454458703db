/** For tests of whole systems and for the bench; services never import this package. */
export { buildApp, type RegistryApp, type RegistryHooks } from './app.ts';
export { SWITCH_STEPS, type SwitchStep } from './conductor.ts';
