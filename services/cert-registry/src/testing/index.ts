/** What tests of whole systems share with those of the registry. */

export { namedIsMissing, startNamed } from '../dns/testing/named.ts';
export { CertbotFolder, SecretFolder } from './certificate-folders.ts';
export { type Leaf, TestCa } from './test-ca.ts';
