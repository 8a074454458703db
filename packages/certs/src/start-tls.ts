/**
 * What STARTTLS adds to a handshake: octets that came in the clear behind the command are an attack
 * (RFC 3207 §4.2, CVE-2011-0411) or a broken client, and end the connection. The service's own reader
 * looks at what it has buffered when it handles the command; this looks at what follows, so that it
 * makes no difference how the network cut the octets into segments.
 */
import { examineClientHello } from './client-hello.ts';
import { TlsError } from './errors.ts';

/**
 * Looks at what arrived first behind STARTTLS.
 * @throws TlsError cleartext-behind-starttls
 */
export function refuseCleartext(firstOctets: Uint8Array): void {
  if (examineClientHello(firstOctets) === 'not-tls') {
    throw new TlsError('cleartext-behind-starttls', 'octets in the clear follow STARTTLS');
  }
}
