/**
 * The seam between listeners and TLS. @mail/certs implements it; line-server and the services that
 * listen receive it as an argument and keep no TLS context of their own.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

export interface SecuredSocket {
  readonly socket: TLSSocket;
  /** Generation of the material that the handshake was made under. */
  readonly generation: number;
}

export interface TlsAcceptor {
  /**
   * Implicit TLS: waits for a whole ClientHello, then handshakes under the material in force at that
   * moment. Rejects when the handshake fails or takes too long; the socket is then
   * destroyed.
   */
  accept(socket: Socket): Promise<SecuredSocket>;
  /**
   * STARTTLS: as accept, on a socket that has spoken in the clear. The caller has stopped reading
   * and has written its go-ahead. Octets that arrived in the clear behind the STARTTLS command never
   * reach the TLS session or the command stream (RFC 3207 §4.2, CVE-2011-0411).
   */
  upgrade(socket: Socket): Promise<SecuredSocket>;
}

/** One listener's door for a self-probe: where to connect and how to reach a TLS handshake there. */
export interface ProbeTarget {
  /** For people and metrics: "imaps 127.0.0.1:2993". */
  readonly listener: string;
  readonly host: string;
  readonly port: number;
  /** What is sent first, before any TLS or greeting; a PROXY header where the listener wants one. */
  readonly preamble: string;
  /** How to get from the greeting to TLS; undefined for implicit TLS. */
  readonly startTls: 'imap' | 'pop3' | 'smtp' | undefined;
  /**
   * Told of a probe's own end of its connection before the listener can see it: that one is let in
   * whatever the limits say. Returns how to take it back. Whoever else comes has another end.
   */
  announce(address: string, port: number): () => void;
}
