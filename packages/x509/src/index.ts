/**
 * @mail/x509: parse, order, check, describe and make certificates. Pure: no I/O, no clock; randomness
 * only in the functions of create.ts.
 */
export { type BundlePem, bundleFromPem, bundleToPem } from './bundle-pem.ts';
export { assembleBundle, type CertificateBundle } from './chain.ts';
export {
  type CheckOptions,
  checkBundle,
  checkExpiresSoon,
  checkKeyMatch,
  checkKeyStrength,
  checkLinks,
  checkNameLoss,
  checkRequiredNames,
  checkSelfSigned,
  checkServerAuth,
  checkSignature,
  checkValidity,
} from './checks.ts';
export {
  type CertificateAuthority,
  createCa,
  createSelfSigned,
  createSigningRequest,
  generateKey,
  issueIdentity,
  type KeyType,
  readSigningRequest,
  type SigningRequest,
} from './create.ts';
export {
  type CertificateDescription,
  certificateLabel,
  describeCertificate,
  describeKey,
} from './describe.ts';
export { CertificateError, type Check, type CheckCode } from './errors.ts';
export {
  NameError,
  nameCovered,
  namesGained,
  namesLost,
  normaliseName,
  normalisePresentedName,
} from './names.ts';
export {
  certificatesFromPem,
  MAX_BLOBS,
  MAX_CERTIFICATES,
  MAX_INPUT_BYTES,
  type Material,
  readBlobs,
} from './parse.ts';
export { TrustAnchors } from './trust-anchors.ts';
