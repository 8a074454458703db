/** Cuts off who sends a message too slowly: the memory that it fills is wanted by others. */
import { LEAST_TRANSFER, MESSAGE_TIMEOUT_MS } from './config.ts';

export class TransferWatch {
  readonly #deadline: NodeJS.Timeout;
  readonly #periods: NodeJS.Timeout;
  #octets = 0;

  /** Calls `cutOff`, perhaps more than once, until it is stopped. */
  constructor(cutOff: () => void) {
    this.#deadline = setTimeout(cutOff, MESSAGE_TIMEOUT_MS);
    this.#periods = setInterval(() => {
      if (this.#octets < LEAST_TRANSFER.octets) cutOff();
      this.#octets = 0;
    }, LEAST_TRANSFER.periodMs);
  }

  arrived(octets: number): void {
    this.#octets += octets;
  }

  stop(): void {
    clearTimeout(this.#deadline);
    clearInterval(this.#periods);
  }
}
