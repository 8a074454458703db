/**
 * The connections that have not sent a request yet, of a server that answers one request and closes. Anybody
 * may open them: when there are too many, an old one gives way and the new one is heard, so that nobody
 * who only holds connections open keeps others out.
 */

export interface WaitingConnection {
  /** Undefined once it is gone. */
  readonly remoteAddress?: string | undefined;
  destroy(): void;
}

export class WaitingConnections<C extends WaitingConnection> {
  readonly #most: number;
  /** By address, the oldest first. */
  readonly #byAddress = new Map<string, Set<C>>();
  readonly #addressOf = new Map<C, string>();

  constructor(most: number) {
    this.#most = most;
  }

  get count(): number {
    return this.#addressOf.size;
  }

  /**
   * When full, the oldest of the address that holds most gives way. That is no fixed number for each
   * address, since behind a proxy all have the same.
   */
  add(connection: C): void {
    if (this.count >= this.#most) this.#makeRoom();
    const address = connection.remoteAddress ?? '';
    const others = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, others.add(connection));
    this.#addressOf.set(connection, address);
  }

  /** It has sent its request, or is gone; again does nothing. */
  delete(connection: C): void {
    const address = this.#addressOf.get(connection);
    if (address === undefined) return;
    this.#addressOf.delete(connection);
    const others = this.#byAddress.get(address);
    others?.delete(connection);
    if (others?.size === 0) this.#byAddress.delete(address);
  }

  #makeRoom(): void {
    let crowd = new Set<C>();
    for (const others of this.#byAddress.values()) if (others.size > crowd.size) crowd = others;
    const [oldest] = crowd;
    if (oldest === undefined) return;
    this.delete(oldest);
    oldest.destroy();
  }
}
