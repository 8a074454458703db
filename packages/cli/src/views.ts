/**
 * What --json prints: the registry's messages as plain objects with keys and words that stay stable.
 * Instants are ISO 8601 in UTC or null, enums are kebab-case words, 64-bit numbers are numbers.
 */
import {
  type AuditEvent,
  type Certificate,
  type CheckResult,
  certificateStateToJSON,
  checkSeverityToJSON,
  type Fleet,
  partitionPolicyToJSON,
  type Rotation,
  rotationKindToJSON,
  rotationStateToJSON,
  type Source,
  type Subscriber,
  type SubscriberOutcome,
  sourcePolicyToJSON,
  sourceStateToJSON,
  subscriberPhaseToJSON,
  subscriberStateToJSON,
  type TlsaRecord,
  tlsaUseToJSON,
} from '@mail/proto';

/** "ROTATION_STATE_VERIFIED" without its prefix as "verified". */
function word(name: string, prefix: string): string {
  return name.replace(prefix, '').toLowerCase().replaceAll('_', '-');
}

function instant(at: Date | undefined): string | null {
  return at === undefined ? null : at.toISOString();
}

/** Digits count as numbers: w2 comes before w10. */
function compare(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true });
}

export type CertificateView = ReturnType<typeof certificateView>;

export function certificateView(certificate: Certificate) {
  return {
    id: certificate.id,
    label: certificate.label,
    state: word(certificateStateToJSON(certificate.state), 'CERTIFICATE_STATE_'),
    fingerprintSha256: certificate.fingerprintSha256,
    subject: certificate.subject,
    issuer: certificate.issuer,
    serialNumber: certificate.serialNumber,
    dnsNames: certificate.dnsNames,
    notBefore: instant(certificate.notBefore),
    notAfter: instant(certificate.notAfter),
    keyType: certificate.keyType,
    signatureAlgorithm: certificate.signatureAlgorithm,
    spkiSha256: certificate.spkiSha256,
    selfSigned: certificate.selfSigned,
    createdAt: instant(certificate.createdAt),
    createdBy: certificate.createdBy,
    chainPem: certificate.chainPem,
    signingRequestPem: certificate.signingRequestPem,
  };
}

export type CheckView = ReturnType<typeof checkView>;

export function checkView(check: CheckResult) {
  return {
    code: check.code,
    severity: word(checkSeverityToJSON(check.severity), 'CHECK_SEVERITY_'),
    certificate: check.certificate,
    message: check.message,
    remedy: check.remedy,
  };
}

export type OutcomeView = ReturnType<typeof outcomeView>;

export function outcomeView(outcome: SubscriberOutcome) {
  return {
    service: outcome.service,
    instance: outcome.instance,
    phase: word(subscriberPhaseToJSON(outcome.phase), 'SUBSCRIBER_PHASE_'),
    code: outcome.code,
    detail: outcome.detail,
    required: outcome.required,
    swapOffsetMs: outcome.swapOffsetMs,
    ports: outcome.ports,
  };
}

export type RotationView = ReturnType<typeof rotationView>;

export function rotationView(rotation: Rotation) {
  return {
    id: Number(rotation.id),
    kind: word(rotationKindToJSON(rotation.kind), 'ROTATION_KIND_'),
    state: word(rotationStateToJSON(rotation.state), 'ROTATION_STATE_'),
    fromGeneration: Number(rotation.fromGeneration),
    toGeneration: Number(rotation.toGeneration),
    fromCertificateId: rotation.fromCertificateId,
    toCertificateId: rotation.toCertificateId,
    actor: rotation.actor,
    startedAt: instant(rotation.startedAt),
    finishedAt: instant(rotation.finishedAt),
    skewMs: rotation.skewMs,
    commitMs: rotation.commitMs,
    activatedMs: rotation.activatedMs,
    verifiedMs: rotation.verifiedMs,
    failure: rotation.failure,
    drainPrevious: rotation.drainPrevious,
    outcomes: rotation.outcomes.map(outcomeView),
  };
}

export type SubscriberView = ReturnType<typeof subscriberView>;

export function subscriberView(subscriber: Subscriber) {
  return {
    service: subscriber.service,
    instance: subscriber.instance,
    state: word(subscriberStateToJSON(subscriber.state), 'SUBSCRIBER_STATE_'),
    generation: Number(subscriber.generation),
    fingerprintSha256: subscriber.fingerprintSha256,
    connectedAt: instant(subscriber.connectedAt),
    activeSince: instant(subscriber.activeSince),
    leaseRemainingMs: subscriber.leaseRemainingMs,
    partitionPolicy: word(partitionPolicyToJSON(subscriber.partitionPolicy), 'PARTITION_POLICY_'),
    version: subscriber.version,
    roundTripMs: subscriber.roundTripMs,
    ports: subscriber.ports,
    lagging: subscriber.lagging,
  };
}

export type FleetView = ReturnType<typeof fleetView>;

export function fleetView(fleet: Fleet) {
  return {
    generation: Number(fleet.generation),
    activeCertificate:
      fleet.activeCertificate === undefined ? null : certificateView(fleet.activeCertificate),
    subscribers: fleet.subscribers
      .map(subscriberView)
      .sort(
        (one, other) =>
          compare(one.service, other.service) || compare(one.instance, other.instance),
      ),
    warnings: fleet.warnings,
    rotation: fleet.rotation === undefined ? null : rotationView(fleet.rotation),
  };
}

export type SourceView = ReturnType<typeof sourceView>;

export function sourceView(source: Source) {
  const { acme } = source;
  return {
    name: source.name,
    policy: word(sourcePolicyToJSON(source.policy), 'SOURCE_POLICY_'),
    state: word(sourceStateToJSON(source.state), 'SOURCE_STATE_'),
    detail: source.detail,
    location: source.location,
    certificateId: source.certificateId,
    lastSuccessAt: instant(source.lastSuccessAt),
    lastFailureAt: instant(source.lastFailureAt),
    nextActionAt: instant(source.nextActionAt),
    failures: source.failures,
    checks: source.checks.map(checkView),
    acme: acme === undefined ? null : { ...acme, renewAt: instant(acme.renewAt) },
  };
}

export type TlsaRecordView = ReturnType<typeof tlsaRecordView>;

export function tlsaRecordView(record: TlsaRecord) {
  return {
    owner: record.owner,
    spkiSha256: record.spkiSha256,
    use: word(tlsaUseToJSON(record.use), 'TLSA_USE_'),
    certificateId: record.certificateId,
    visibleSince: instant(record.visibleSince),
    ttlSeconds: record.ttlSeconds,
    settled: record.settled,
    authenticated: record.authenticated,
    checkedAt: instant(record.checkedAt),
    problem: record.problem,
  };
}

export type AuditEventView = ReturnType<typeof auditEventView>;

export function auditEventView(event: AuditEvent) {
  return {
    id: Number(event.id),
    at: instant(event.at),
    actor: event.actor,
    action: event.action,
    target: event.target,
    outcome: event.outcome,
  };
}
