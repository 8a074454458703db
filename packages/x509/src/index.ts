/**
 * @mail/x509: parse, order, check, describe and make certificates. Pure: no I/O, no clock; randomness
 * only in the functions of create.ts.
 */
export { bundleFromPem, bundleToPem } from './bundle-pem.ts';
export { assembleBundle, type CertificateBundle } from './chain.ts';
export { checkBundle, expiresSoon } from './checks.ts';
export {
  type CertificateAuthority,
  createCa,
  createSelfSigned,
  createSigningRequest,
  generateKey,
  issueIdentity,
  type KeyType,
  readSigningRequest,
} from './create.ts';
export { describeCertificate, describeKey } from './describe.ts';
export { CertificateError, type Check } from './errors.ts';
export {
  NameError,
  nameCovered,
  namesGained,
  namesLost,
  normaliseName,
  normalisePresentedName,
} from './names.ts';
export { type Material as BundleMaterial, readBlobs } from './parse.ts';
export { renewalInfoId } from './renewal-info-id.ts';
export { TrustAnchors } from './trust-anchors.ts';
