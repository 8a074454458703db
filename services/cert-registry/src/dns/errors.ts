/** What stands between us and a DNS server's answer. */

export type DnsErrorCode =
  /** A name that DNS cannot carry. */
  | 'bad-name'
  /** A server's address that cannot be read. */
  | 'bad-server'
  /** A TSIG secret that cannot be read. */
  | 'bad-secret'
  /** No connection, or no such server. */
  | 'unreachable'
  | 'timed-out'
  /** An answer that no server may give, or one that nobody vouches for. */
  | 'bad-answer'
  /** SERVFAIL and other codes by which a server says that it could not. */
  | 'server-failure'
  /** REFUSED. */
  | 'refused'
  /** NOTAUTH: the server does not serve that zone. */
  | 'not-authoritative'
  /** NOTZONE: a name of the update is not in that zone. */
  | 'not-in-zone'
  /** BADKEY: the server knows no such key. */
  | 'unknown-key'
  /** BADSIG: the server's secret is another one, or the answer's signature is wrong. */
  | 'bad-signature'
  /** BADTIME: the clocks differ. */
  | 'bad-time'
  /** The caller's signal. */
  | 'stopped';

export class DnsError extends Error {
  readonly code: DnsErrorCode;

  /** `message` is for the operator. */
  constructor(code: DnsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DnsError';
    this.code = code;
  }
}
