/** How a connection ends other than by the session's own wish, as codes that sessions match. */

export type LineServerErrorCode =
  /** The peer went away, by a reset or in the middle of something. */
  | 'closed'
  /** A line was longer than the limit; what follows can't be told apart any more. */
  | 'line-too-long'
  /** The peer sent no whole line, or too little of a literal, in time. */
  | 'idle-timeout'
  /** The peer did not read in time. */
  | 'write-timeout'
  /** An HTTP request came to a mail port (ALPACA, CVE-2021-31971 and its kin). */
  | 'http-request'
  /** Octets in the clear came behind STARTTLS (RFC 3207 §4.2, CVE-2011-0411). */
  | 'cleartext-behind-starttls'
  /** The handshake failed or took too long. */
  | 'tls-failed'
  /** A balancer of ours sent no proper PROXY header. */
  | 'bad-proxy-header'
  /** The connection was made under a certificate that is being withdrawn. */
  | 'draining'
  /** The service stops. */
  | 'shutting-down';

export class LineServerError extends Error {
  readonly code: LineServerErrorCode;

  constructor(code: LineServerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LineServerError';
    this.code = code;
  }
}
