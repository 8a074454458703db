/**
 * The certificates that the registry holds: how they come in, what is told of them, when they may go,
 * and whether one may be made active. Private keys leave the vault here alone, for a check or for the
 * material of a switch.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { rootCertificates } from 'node:tls';
import {
  type Certificate,
  CertificateState,
  type CheckResult,
  CheckSeverity,
  type CompleteSigningRequestRequest,
  type CreateSelfSignedRequest,
  type CreateSigningRequestRequest,
  type ImportCertificateRequest,
  KeyType,
  type Material,
} from '@mail/proto';
import {
  assembleBundle,
  type BundleMaterial,
  bundleFromPem,
  bundleToPem,
  type CertificateBundle,
  CertificateError,
  type Check,
  checkBundle,
  createSelfSigned,
  createSigningRequest,
  describeCertificate,
  describeKey,
  generateKey,
  namesGained,
  namesLost,
  normalisePresentedName,
  readBlobs,
  TrustAnchors,
  type KeyType as X509KeyType,
} from '@mail/x509';
import { DEFAULTS, LIMITS } from './config.ts';
import type { CertificateRow, CertificateSummaryRow, RegistryDatabase } from './database.ts';
import { RegistryError } from './errors.ts';
import type { KeyVault } from './key-vault.ts';
import { normaliseNames, type RequiredNames } from './required-names.ts';
import { withoutStop } from './sources/sentence.ts';

/** A stored certificate with what speaks against making it active now. */
export interface Evaluation {
  readonly row: CertificateRow;
  readonly certificate: Certificate;
  readonly checks: readonly CheckResult[];
  /** True when no check is an error. */
  readonly allowed: boolean;
  readonly namesGained: string[];
  readonly namesLost: string[];
}

/** What describes a certificate in lists; kept beside the row, so that a list parses no certificate. */
interface StoredDescription {
  readonly subject: string;
  readonly issuer: string;
  readonly serialNumber: string;
  readonly dnsNames: string[];
  /** ISO 8601; absent while a signing request waits. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly keyType: string;
  readonly signatureAlgorithm: string;
  readonly selfSigned: boolean;
  /** What putting it together found: it is told again of what is immutable, and cannot be found again. */
  readonly remarks?: readonly Check[];
}

/** Findings that time, or a change of the required names, may mend: told at import, not refused. */
const MENDABLE: ReadonlySet<string> = new Set([
  'not-yet-valid',
  'required-name-missing',
  'name-loss',
]);
/** Findings about input that can't be read at all. */
const UNREADABLE: ReadonlySet<string> = new Set(['malformed', 'wrong-passphrase']);

const ID_BYTES = 8;
const SHORTEST_PREFIX = 4;
const PUBLIC_ROOTS = new TrustAnchors(rootCertificates);

export interface CertificatesOptions {
  readonly database: RegistryDatabase;
  readonly vault: KeyVault;
  readonly requiredNames: RequiredNames;
  /** Wall clock in milliseconds. */
  readonly now: () => number;
}

export class Certificates {
  readonly #database: RegistryDatabase;
  readonly #vault: KeyVault;
  readonly #requiredNames: RequiredNames;
  readonly #now: () => number;

  constructor(options: CertificatesOptions) {
    this.#database = options.database;
    this.#vault = options.vault;
    this.#requiredNames = options.requiredNames;
    this.#now = options.now;
  }

  /** Throws RegistryError (invalid-argument, check-failed, exhausted). */
  async import(
    request: ImportCertificateRequest,
    actor: string,
  ): Promise<{ certificate: Certificate; checks: CheckResult[]; alreadyPresent: boolean }> {
    const label = checkLabel(request.label);
    const material = await refusing(() =>
      readBlobs(request.blobs, request.passphrase || undefined),
    );
    return this.take(material, label, actor);
  }

  /** As `import`, of what has been read already. */
  async take(
    material: BundleMaterial,
    label: string,
    actor: string,
  ): Promise<{ certificate: Certificate; checks: CheckResult[]; alreadyPresent: boolean }> {
    const { bundle, checks } = await refusing(async () =>
      assembleBundle(material, { anchors: PUBLIC_ROOTS }),
    );
    return this.#keep(bundle, checks, label, actor);
  }

  /**
   * Under a fresh key, or under the one of the certificate or request `keyOf`.
   * Throws RegistryError (invalid-argument, not-found, exhausted).
   */
  async createSigningRequest(
    request: CreateSigningRequestRequest,
    actor: string,
    keyOf?: string,
  ): Promise<Certificate> {
    const label = checkLabel(request.label);
    const names = this.#namesOr(request.dnsNames);
    const privateKey =
      keyOf === undefined
        ? await generateKey(keyTypeOf(request.keyType))
        : this.#privateKey(this.find(keyOf));
    const description: StoredDescription = {
      subject: '',
      issuer: '',
      serialNumber: '',
      dnsNames: names,
      keyType: describeKey(privateKey),
      signatureAlgorithm: '',
      selfSigned: false,
    };
    const row = this.#newRow({
      label,
      actor,
      privateKey,
      description,
      spki: spkiSha256(privateKey),
      signingRequestPem: createSigningRequest({ names, privateKey }),
    });
    this.#insert(row);
    return this.#describe(row);
  }

  /**
   * The same answer again with another chain becomes a certificate of its own, as in an import.
   * Throws RegistryError (invalid-argument, not-found, check-failed, precondition, exhausted).
   */
  async completeSigningRequest(
    request: CompleteSigningRequestRequest,
    actor: string,
  ): Promise<{ certificate: Certificate; checks: CheckResult[] }> {
    const { id } = this.find(request.certificateId);
    const { bundle, warnings } = await refusing(async () => {
      const { certificates } = await readBlobs(request.blobs);
      // whatever key came along is not the one that the request was made with
      const material = { certificates, privateKeys: [this.#privateKey(this.find(id))] };
      const assembled = assembleBundle(material, { anchors: PUBLIC_ROOTS });
      return { bundle: assembled.bundle, warnings: assembled.checks };
    });
    const whole = describeWhole(bundle, warnings);
    const row = this.find(id);
    if (row.chainPem !== null) {
      if (row.fingerprint === whole.fingerprint) {
        return this.#keep(bundle, warnings, row.label, actor);
      }
      throw new RegistryError(
        'precondition',
        `certificate ${id} is complete already; import the new answer or make a new request`,
      );
    }
    const checks = this.#judge(bundle, id, warnings);
    const [twin] = this.#database.certificatesByFingerprint(whole.fingerprint);
    if (twin !== undefined) {
      throw new RegistryError(
        'precondition',
        `this certificate is held as ${twin.id} already; delete the request ${id}`,
      );
    }
    this.#database.completeCertificate(id, whole);
    return { certificate: this.#describe(this.find(id)), checks };
  }

  /** Throws RegistryError (invalid-argument, exhausted). */
  async createSelfSigned(
    request: CreateSelfSignedRequest,
    actor: string,
  ): Promise<{ certificate: Certificate; checks: CheckResult[] }> {
    const label = checkLabel(request.label);
    const days = request.days === 0 ? DEFAULTS.selfSignedDays : request.days;
    if (days > LIMITS.selfSignedDays) {
      throw new RegistryError(
        'invalid-argument',
        `a self-signed certificate lives at most ${LIMITS.selfSignedDays} days, not ${days}`,
      );
    }
    const bundle = await createSelfSigned({
      names: this.#namesOr(request.dnsNames),
      days,
      now: new Date(this.#now()),
      keyType: keyTypeOf(request.keyType),
    });
    return this.#keep(bundle, [], label, actor);
  }

  /** Newest first; without chains unless they are asked for. */
  list({ chains = false } = {}): Certificate[] {
    const activeId = this.#activeId();
    return this.#database
      .certificates()
      .map((row) => describe(row, chains ? this.find(row.id) : undefined, activeId));
  }

  /** `prefix` is an id or an unambiguous beginning of one. Throws RegistryError. */
  find(prefix: string): CertificateRow {
    if (!/^[0-9a-f]*$/.test(prefix) || prefix.length < SHORTEST_PREFIX) {
      throw new RegistryError(
        'invalid-argument',
        `"${prefix.slice(0, 64)}" is no certificate's id; give its first ${SHORTEST_PREFIX} characters or more`,
      );
    }
    const [id, another] = this.#database.certificateIdsBeginning(prefix);
    if (another !== undefined) {
      throw new RegistryError(
        'invalid-argument',
        `more than one certificate's id begins with ${prefix}; give more of it`,
      );
    }
    const row = id === undefined ? undefined : this.#database.certificate(id);
    if (row === undefined) {
      throw new RegistryError(
        'not-found',
        `no certificate's id begins with ${prefix.slice(0, 64)}`,
      );
    }
    return row;
  }

  /** Whole apart from its key, with what speaks against a rotation to it now. */
  get(prefix: string): { certificate: Certificate; checks: CheckResult[] } {
    const row = this.find(prefix);
    if (row.chainPem === null) return { certificate: this.#describe(row), checks: [] };
    const { certificate, checks } = this.evaluate(row, false);
    return { certificate, checks: [...checks] };
  }

  /** Undefined for none of that id, and for a signing request that waits. */
  whole(id: string | undefined): Certificate | undefined {
    const row = id === undefined ? undefined : this.#database.certificate(id);
    return row === undefined || row.chainPem === null ? undefined : this.#describe(row);
  }

  /** The one in force; undefined only before there is a first. */
  active(): Certificate | undefined {
    const id = this.#activeId();
    const row = id === undefined ? undefined : this.#database.certificate(id);
    return row === undefined ? undefined : this.#describe(row);
  }

  /** `inUse` is the id that a rotation under way goes to. Returns the id. Throws RegistryError. */
  delete(prefix: string, inUse: string | undefined): string {
    const { id } = this.find(prefix);
    if (id === this.#activeId()) {
      throw new RegistryError(
        'precondition',
        `certificate ${id} is active; rotate to another before you delete it`,
      );
    }
    if (id === inUse) {
      throw new RegistryError(
        'precondition',
        `a rotation to certificate ${id} is under way; delete it once that has ended`,
      );
    }
    this.#database.deleteCertificate(id);
    return id;
  }

  /** What speaks against making it active now. Throws RegistryError (precondition) for a pending one. */
  evaluate(row: CertificateRow, allowNameLoss: boolean): Evaluation {
    const { chainPem } = row;
    if (chainPem === null) {
      throw new RegistryError(
        'precondition',
        `certificate ${row.id} waits for the CA's answer; complete its signing request first`,
      );
    }
    const active = this.active();
    const activeNames = active?.dnsNames ?? [];
    const certificate = this.#describe(row);
    const bundle = bundleFromPem({ chainPem, privateKeyPem: this.#openKey(row) });
    const { remarks = [] }: StoredDescription = JSON.parse(row.description);
    const found = checkBundle(bundle, {
      now: new Date(this.#now()),
      requiredNames: this.#requiredNames.get(),
      activeNames,
      allowNameLoss: allowNameLoss || !this.#holdsItsNames(active),
      certificate: row.id,
    });
    const checks = [...remarks, ...found].map(toCheckResult);
    return {
      row,
      certificate,
      checks,
      allowed: !checks.some(isError),
      namesGained: namesGained(activeNames, certificate.dnsNames),
      namesLost: namesLost(activeNames, certificate.dnsNames),
    };
  }

  /** The key in the clear: for a switch's messages, and nowhere else. */
  material(row: CertificateRow): Omit<Material, 'generation' | 'ticketSeed'> {
    const { id, chainPem, fingerprint } = row;
    if (chainPem === null || fingerprint === null) {
      throw new RegistryError('precondition', `certificate ${id} is not complete`);
    }
    return {
      certificateId: id,
      chainPem,
      privateKeyPem: this.#openKey(row),
      fingerprintSha256: fingerprint,
    };
  }

  /**
   * Stores a checked bundle, or finds the one that holds its leaf and chain already. A known leaf with
   * another chain is stored beside the first: certificates are immutable, and one may be rotated to.
   */
  #keep(
    bundle: CertificateBundle,
    warnings: readonly Check[],
    label: string,
    actor: string,
  ): { certificate: Certificate; checks: CheckResult[]; alreadyPresent: boolean } {
    const { fingerprint, description, chainPem, spki } = describeWhole(bundle, warnings);
    const held = this.#database.certificatesByFingerprint(fingerprint);
    const same = held.find((row) => row.chainPem === chainPem);
    if (same !== undefined) {
      const { certificate, checks } = this.evaluate(same, false);
      return { certificate, checks: [...checks], alreadyPresent: true };
    }
    const row = {
      ...this.#newRow({ label, actor, privateKey: bundle.privateKey, spki }),
      fingerprint,
      description,
      chainPem,
    };
    const checks = this.#judge(bundle, row.id, warnings);
    this.#insert(row);
    const twins = held.map((twin) => heldWithAnotherChain(row.id, twin.id));
    return {
      certificate: this.#describe(row),
      checks: [...twins, ...checks],
      alreadyPresent: false,
    };
  }

  /**
   * Whether names that only the active certificate covers are anybody's: not those of the one made at the
   * first start, which no client trusts, nor of one that has ended. Required names are held in any case.
   */
  #holdsItsNames(active: Certificate | undefined): boolean {
    if (active?.notAfter === undefined || active.id === this.#database.firstCertificateId())
      return false;
    return active.notAfter.getTime() > this.#now();
  }

  /** All findings, or RegistryError (check-failed) when one of them is beyond mending. */
  #judge(bundle: CertificateBundle, id: string, warnings: readonly Check[]): CheckResult[] {
    const active = this.active();
    const found = checkBundle(bundle, {
      now: new Date(this.#now()),
      requiredNames: this.#requiredNames.get(),
      activeNames: active?.dnsNames ?? [],
      allowNameLoss: !this.#holdsItsNames(active),
      certificate: describeCertificate(bundle.leaf).subject || id,
    });
    const checks = [...warnings, ...found];
    const fatal = checks.filter(
      ({ code, severity }) => severity === 'error' && !MENDABLE.has(code),
    );
    if (fatal.length > 0) {
      throw new RegistryError('check-failed', fatal.map(({ message }) => message).join(' '), {
        checks: checks.map(toCheckResult),
      });
    }
    return checks.map(toCheckResult);
  }

  #newRow(parts: {
    label: string;
    actor: string;
    privateKey: KeyObject;
    spki: string;
    description?: StoredDescription;
    signingRequestPem?: string;
  }): CertificateRow {
    const id = randomBytes(ID_BYTES).toString('hex');
    const keyPem = parts.privateKey.export({ type: 'pkcs8', format: 'pem' });
    return {
      id,
      label: parts.label,
      fingerprint: null,
      spki: parts.spki,
      description: JSON.stringify(parts.description ?? {}),
      chainPem: null,
      signingRequestPem: parts.signingRequestPem ?? null,
      sealedKey: this.#vault.seal(keyRecord(id), keyPem),
      createdAt: this.#now(),
      createdBy: parts.actor,
    };
  }

  #insert(row: CertificateRow): void {
    if (this.#database.countCertificates() >= LIMITS.certificates) {
      throw new RegistryError(
        'exhausted',
        `the registry holds ${LIMITS.certificates} certificates, its limit; delete old ones`,
      );
    }
    this.#database.insertCertificate(row);
  }

  #openKey(row: CertificateRow): string {
    return this.#vault.open(keyRecord(row.id), row.sealedKey).toString('utf8');
  }

  #privateKey(row: CertificateRow): KeyObject {
    return createPrivateKey(this.#openKey(row));
  }

  #activeId(): string | undefined {
    return this.#database.activeGeneration()?.certificateId;
  }

  #describe(row: CertificateRow): Certificate {
    return describe(row, row, this.#activeId());
  }

  #namesOr(dnsNames: readonly string[]): string[] {
    const names = normaliseNames(dnsNames, normalisePresentedName);
    const chosen = names.length > 0 ? names : this.#requiredNames.get();
    if (chosen.length > 0) return chosen;
    throw new RegistryError(
      'invalid-argument',
      'no name given and no required names to take instead; name at least one',
    );
  }
}

function keyRecord(id: string): string {
  return `certificate/${id}`;
}

function spkiSha256(privateKey: KeyObject): string {
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex');
}

function describeWhole(bundle: CertificateBundle, remarks: readonly Check[]) {
  const {
    fingerprintSha256,
    spkiSha256,
    notBefore,
    notAfter,
    uris: _,
    ...rest
  } = describeCertificate(bundle.leaf);
  const description: StoredDescription = {
    ...rest,
    dnsNames: [...rest.dnsNames],
    notBefore: notBefore.toISOString(),
    notAfter: notAfter.toISOString(),
    ...(remarks.length === 0 ? {} : { remarks }),
  };
  return {
    fingerprint: fingerprintSha256,
    spki: spkiSha256,
    description: JSON.stringify(description),
    chainPem: bundleToPem(bundle).chainPem,
  };
}

function describe(
  row: CertificateSummaryRow,
  whole: Pick<CertificateRow, 'chainPem' | 'signingRequestPem'> | undefined,
  activeId: string | undefined,
): Certificate {
  const stored: StoredDescription = JSON.parse(row.description);
  const state =
    row.fingerprint === null
      ? CertificateState.CERTIFICATE_STATE_PENDING
      : row.id === activeId
        ? CertificateState.CERTIFICATE_STATE_ACTIVE
        : CertificateState.CERTIFICATE_STATE_AVAILABLE;
  return {
    id: row.id,
    label: row.label,
    state,
    fingerprintSha256: row.fingerprint ?? '',
    subject: stored.subject,
    issuer: stored.issuer,
    serialNumber: stored.serialNumber,
    dnsNames: stored.dnsNames,
    notBefore: stored.notBefore === undefined ? undefined : new Date(stored.notBefore),
    notAfter: stored.notAfter === undefined ? undefined : new Date(stored.notAfter),
    keyType: stored.keyType,
    signatureAlgorithm: stored.signatureAlgorithm,
    spkiSha256: row.spki,
    chainPem: whole?.chainPem ?? '',
    selfSigned: stored.selfSigned,
    createdAt: new Date(row.createdAt),
    createdBy: row.createdBy,
    signingRequestPem: whole?.signingRequestPem ?? '',
  };
}

function heldWithAnotherChain(id: string, twin: string): CheckResult {
  return {
    code: 'leaf-held-already',
    severity: CheckSeverity.CHECK_SEVERITY_WARNING,
    certificate: id,
    message: `The registry holds this leaf as ${twin} too, with another chain.`,
    remedy: `Rotate to ${id} to serve this chain, and delete the one that you no longer want.`,
  };
}

/** How an operator does what the remedy of a refusal says. */
const COMMANDS: Readonly<Record<string, string>> = {
  'required-name-missing': '"concert names set" with those that are to stay',
  'name-loss': '"concert cert rotate ID --allow-name-loss"',
};

function toCheckResult({ severity, ...check }: Check): CheckResult {
  const command = severity === 'error' ? COMMANDS[check.code] : undefined;
  return {
    ...check,
    remedy: command === undefined ? check.remedy : `${withoutStop(check.remedy)}: ${command}.`,
    severity:
      severity === 'error'
        ? CheckSeverity.CHECK_SEVERITY_ERROR
        : CheckSeverity.CHECK_SEVERITY_WARNING,
  };
}

export function isError(check: CheckResult): boolean {
  return check.severity === CheckSeverity.CHECK_SEVERITY_ERROR;
}

/** Makes the refusals of x509 ours. */
export async function refusing<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (cause) {
    if (!(cause instanceof CertificateError)) throw cause;
    const code = UNREADABLE.has(cause.code) ? 'invalid-argument' : 'check-failed';
    throw new RegistryError(code, cause.message, {
      cause,
      checks: cause.checks.map(toCheckResult),
    });
  }
}

function checkLabel(label: string): string {
  if (label.length <= LIMITS.labelLength && !/\p{Cc}/u.test(label)) return label;
  throw new RegistryError(
    'invalid-argument',
    `a label is one line of at most ${LIMITS.labelLength} characters`,
  );
}

const KEY_TYPES: ReadonlyMap<KeyType, X509KeyType> = new Map([
  [KeyType.KEY_TYPE_UNSPECIFIED, 'ecdsa-p256'],
  [KeyType.KEY_TYPE_ECDSA_P256, 'ecdsa-p256'],
  [KeyType.KEY_TYPE_ECDSA_P384, 'ecdsa-p384'],
  [KeyType.KEY_TYPE_RSA_2048, 'rsa-2048'],
  [KeyType.KEY_TYPE_RSA_4096, 'rsa-4096'],
]);

function keyTypeOf(keyType: KeyType): X509KeyType {
  const known = KEY_TYPES.get(keyType);
  if (known !== undefined) return known;
  throw new RegistryError('invalid-argument', `key type ${keyType} is not known to this registry`);
}
