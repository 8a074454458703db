/** What the service counts of mail. */
import { METRICS, type Metrics } from '@mail/service';

/** Where a refusal came: at the connection, or at one of these commands. */
export type RefusedAt = 'connect' | 'starttls' | 'auth' | 'mail' | 'rcpt' | 'data';

export class SmtpFigures {
  readonly #stored;
  readonly #delivered;
  readonly #refusals;

  constructor(metrics: Metrics) {
    this.#stored = metrics.counter(METRICS.messagesStored);
    this.#delivered = metrics.counter(METRICS.messagesDelivered);
    this.#refusals = metrics.counter(METRICS.smtpRefusals);
  }

  /** A message is durable in that many mailboxes. */
  stored(way: 'mx' | 'submission', mailboxes: number): void {
    this.#stored.inc({ way });
    this.#delivered.inc({ way }, mailboxes);
  }

  /** `status` is one of our own enhanced status codes. */
  refused(command: RefusedAt, status: string): void {
    this.#refusals.inc({ command, status });
  }
}
