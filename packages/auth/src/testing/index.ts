export { LocalIssuer } from './local-issuer.ts';
export { ScramClient, type ScramClientOptions } from './scram-client.ts';
