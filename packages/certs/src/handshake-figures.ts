/**
 * What is counted of TLS handshakes. Why one failed is one of a few reasons, whatever OpenSSL calls it: the
 * words of a library are no labels.
 */
import { METRICS, type Metrics } from '@mail/service';
import type { TlsError } from './errors.ts';

export type HandshakeFailure =
  /** The client does not take our certificate, and said so in an alert (RFC 8446 §6.2). */
  | 'certificate_unknown'
  | 'certificate_expired'
  | 'unknown_ca'
  | 'bad_certificate'
  /** The client sent another alert. */
  | 'client_alert'
  | 'no_shared_cipher'
  | 'no_shared_protocol'
  /** The client offers protocols, and none of ours (RFC 7301 §3.2). */
  | 'no_shared_alpn'
  /** HTTP in the clear on a TLS port. */
  | 'http'
  /** What came first is no TLS. */
  | 'plain_text'
  | 'cleartext_behind_starttls'
  | 'timeout'
  | 'client_gone'
  /** There is no certificate to present, or none that may be. */
  | 'no_material'
  | 'fenced'
  | 'other';

const BY_CODE: Partial<Record<TlsError['code'], HandshakeFailure>> = {
  'handshake-timeout': 'timeout',
  'no-material': 'no_material',
  fenced: 'fenced',
  'cleartext-behind-starttls': 'cleartext_behind_starttls',
  'client-gone': 'client_gone',
};

/** Node's code of an OpenSSL error to the reason; the first that fits. */
const BY_OPENSSL: readonly (readonly [RegExp, HandshakeFailure])[] = [
  [/ALERT_CERTIFICATE_UNKNOWN/, 'certificate_unknown'],
  [/ALERT_CERTIFICATE_EXPIRED/, 'certificate_expired'],
  [/ALERT_UNKNOWN_CA/, 'unknown_ca'],
  [/ALERT_(BAD|UNSUPPORTED|REVOKED)_CERTIFICATE|ALERT_CERTIFICATE_REVOKED/, 'bad_certificate'],
  // also what a client says to our oldest version
  [/ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW/, 'no_shared_protocol'],
  [/_ALERT_/, 'client_alert'],
  [/NO_SHARED_CIPHER|NO_SUITABLE_(KEY_SHARE|SIGNATURE_ALGORITHM|GROUPS)/, 'no_shared_cipher'],
  [/NO_APPLICATION_PROTOCOL/, 'no_shared_alpn'],
  [/HTTPS?_(PROXY_)?REQUEST/, 'http'],
];

/** `spokeTls` is whether the first octets began a TLS record. */
export function classifyFailure(error: TlsError, spokeTls: boolean): HandshakeFailure {
  const known = BY_CODE[error.code];
  if (known !== undefined) return known;
  const { cause } = error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  for (const [pattern, reason] of BY_OPENSSL) if (pattern.test(code)) return reason;
  return spokeTls ? 'other' : 'plain_text';
}

/** Counts without looking labels up each time. One for each acceptor; they share the metrics. */
export class HandshakeFigures {
  readonly #handshakes;
  readonly #failures;
  readonly #durations;
  readonly #children = new Map<string, { inc(): void }>();

  constructor(metrics: Metrics) {
    this.#handshakes = metrics.counter(METRICS.handshakes);
    this.#failures = metrics.counter(METRICS.handshakeFailures);
    this.#durations = metrics.histogram(METRICS.handshakeDuration);
    // rates want counters that were 0 before they were 1
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      for (const resumed of ['yes', 'no']) this.#handshakes.inc({ version, resumed }, 0);
    }
  }

  completed(version: string, resumed: boolean, seconds: number): void {
    const key = `${version} ${resumed}`;
    let child = this.#children.get(key);
    if (child === undefined) {
      child = this.#handshakes.labels(version, resumed ? 'yes' : 'no');
      this.#children.set(key, child);
    }
    child.inc();
    this.#durations.observe(seconds);
  }

  failed(reason: HandshakeFailure): void {
    this.#failures.inc({ reason });
  }
}
