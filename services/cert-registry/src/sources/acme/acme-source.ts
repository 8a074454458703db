/**
 * Certificates by ACME: the source that orders one when it is due, has the registry hold it, and hands it
 * on. When is timetable.ts's to say, how is issuer.ts's, what of a failure attempt.ts's and what of a success
 * hand-over.ts's; here is in which sequence.
 */
import { type Source, SourceState } from '@mail/proto';
import type { Logger } from '@mail/service';
import type { AuditTrail } from '../../audit.ts';
import type { Certificates } from '../../certificates.ts';
import { RegistryError } from '../../errors.ts';
import type { RequiredNames } from '../../required-names.ts';
import type { Arrivals } from '../arrivals.ts';
import {
  type CertificateSource,
  type RunOptions,
  sourceActor,
  type TellProgress,
} from '../source.ts';
import type { SourceStatus } from '../source-status.ts';
import type { AcmeAccount } from './account.ts';
import { ingredients, OrderAttempt } from './attempt.ts';
import type { AcmeConfig } from './config.ts';
import { handOver } from './hand-over.ts';
import { Hindrance } from './hindrance.ts';
import type { AcmeIssuer } from './issuer.ts';
import { type Listener, Listening } from './listening.ts';
import { needless } from './needless.ts';
import type { NextRequest } from './next-request.ts';
import { checkOrderedNames } from './ordered-names.ts';
import { nextPoll } from './renewal-info.ts';
import type { AcmeState, KeptState } from './state.ts';
import { askWhenToRenew } from './suggestion.ts';
import { type Due, describeDue, isLimited, nextOrder } from './timetable.ts';

/** How often names, clock and timetable are looked at. */
const LOOK_MS = 5_000;

export interface AcmeSourceOptions {
  readonly config: AcmeConfig;
  readonly account: AcmeAccount;
  /** Made with the signal that `stop` aborts. */
  readonly issuer: (signal: AbortSignal) => AcmeIssuer;
  /** Where http-01 is answered; undefined for dns-01. */
  readonly listener: Listener | undefined;
  readonly nextRequest: NextRequest;
  readonly arrivals: Arrivals;
  readonly status: SourceStatus;
  readonly certificates: Certificates;
  readonly requiredNames: RequiredNames;
  readonly state: KeptState;
  readonly audit: AuditTrail;
  readonly logger: Logger;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

const NAME = 'acme';
const ACTOR = sourceActor(NAME);

export class AcmeSource implements CertificateSource {
  readonly name = NAME;
  readonly #options: AcmeSourceOptions;
  readonly #issuer: AcmeIssuer;
  readonly #stopping = new AbortController();
  /** Who hears of what is under way. */
  readonly #tellers = new Set<TellProgress>();
  readonly #listening: Listening;
  /** Why the next order cannot be prepared. */
  readonly #hindrance: Hindrance;
  /** All that need not be held any more has gone. */
  #tidied = false;
  /** One thing at a time. `order` where somebody who asks for one may join it. */
  #running: { readonly kind: 'order' | 'other'; readonly ended: Promise<void> } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AcmeSourceOptions) {
    this.#options = options;
    this.#issuer = options.issuer(this.#stopping.signal);
    this.#listening = new Listening(options);
    this.#hindrance = new Hindrance('cannot get ready for the next order', options.logger);
    this.#rest();
  }

  start(): void {
    this.#inBackground('other', () => this.#prepare());
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#running?.ended.catch(() => {});
    await this.#options.listener?.close();
  }

  async run({ force }: RunOptions, tell: TellProgress): Promise<void> {
    this.#tellers.add(tell);
    try {
      tell(this.describe(), undefined);
      while (this.#running?.kind === 'other') await this.#running.ended.catch(() => {});
      await (this.#running?.ended ?? this.#runNow(force));
    } finally {
      this.#tellers.delete(tell);
      tell(this.describe(), undefined);
    }
  }

  describe(): Source {
    const { config, account, nextRequest, status } = this.#options;
    const { certificate, suggestion, requestId } = this.#state;
    const renewAt = suggestion?.renewAt ?? certificate?.renewAt;
    const told = status.describe();
    const idle = told.state === SourceState.SOURCE_STATE_IDLE && told.certificateId !== '';
    const plan = idle ? describeDue(this.#due()) : '';
    const details = [told.detail, plan, this.#hindrance.beside(told.detail)];
    return {
      ...told,
      detail: details.filter((detail) => detail !== '').join('; '),
      acme: {
        accountUrl: account.url,
        challenge: config.challenge.type,
        dnsNames: [...this.#names()],
        renewAt: renewAt === undefined ? undefined : new Date(renewAt),
        renewAtFromCa: suggestion !== undefined,
        nextSpkiSha256: nextRequest.spki(requestId),
      },
    };
  }

  async #runNow(force: boolean): Promise<void> {
    const { now } = this.#options;
    const wanted = force || this.#due().at <= now();
    if (wanted && isLimited(this.#state, this.#wanted(), now())) {
      const until = new Date(this.#state.attempts.nextAt).toISOString();
      throw new RegistryError(
        'exhausted',
        `the CA's rate limit says to ask again on ${until}, and no order is made before, nor by force; another CONCERT_ACME_DIRECTORY, other names or other settings are tried at once`,
      );
    }
    await this.#begin('order', () => this.#bring(force));
  }

  // ---- the timetable

  #begin(kind: 'order' | 'other', work: () => Promise<void>): Promise<void> {
    clearTimeout(this.#timer);
    const ended = work().finally(() => {
      this.#running = undefined;
      this.#arm();
    });
    this.#running = { kind, ended };
    return ended;
  }

  /** Failures are in the status, the log and the audit trail; what is none of ours is a bug, and logged as one. */
  #inBackground(kind: 'order' | 'other', work: () => Promise<void>): void {
    this.#begin(kind, work).catch((error) => {
      if (error instanceof RegistryError || this.#stopping.signal.aborted) return;
      this.#options.logger.error({ error }, 'a fault in the ACME source');
    });
  }

  #arm(): void {
    if (this.#stopping.signal.aborted) return;
    this.#rest();
    const next = Math.min(this.#due().actAt, this.#askAt()) - this.#options.now();
    this.#timer = setTimeout(() => this.#look(), Math.min(Math.max(next, 0), LOOK_MS));
  }

  #look(): void {
    const now = this.#options.now();
    const due = this.#due();
    if (due.actAt <= now) this.#inBackground('order', () => this.#bring(false));
    else if (this.#askAt() <= now)
      this.#inBackground('other', () => askWhenToRenew(this.#issuer, this.#options));
    else this.#inBackground('other', () => this.#prepare());
  }

  #due(): Due {
    return nextOrder(this.#state, this.#names(), this.#wanted(), this.#options.now());
  }

  /** When to ask the CA for its suggestion. */
  #askAt(): number {
    const { certificate, askAt } = this.#state;
    if (certificate === undefined) return Number.POSITIVE_INFINITY;
    return nextPoll(askAt, this.#options.now());
  }

  #rest(): void {
    const due = this.#due();
    this.#options.status.resting(describeDue(due), Math.max(due.actAt, this.#options.now()));
  }

  // ---- what is done

  /** A certificate where one is due, and in any case the newest into force. */
  async #bring(force: boolean): Promise<void> {
    const { arrivals, now } = this.#options;
    await this.#prepare();
    const due = this.#due();
    if (force || due.at <= now()) {
      await this.#order(due);
      await this.#prepare();
      // for whoever waits: that it could not be handed over
      this.#handOver();
      this.#tell();
    }
    await arrivals.resume(NAME, (rotation) => this.#tell(rotation));
  }

  async #order(due: Due): Promise<void> {
    const { logger } = this.#options;
    const names = this.#names();
    logger.info({ names, why: due.why }, 'orders a certificate by ACME');
    this.#step(`prepares an order for ${names.join(', ')}`);
    const attempt = OrderAttempt.begin(this.#options, names, this.#wanted());
    try {
      await this.#issue(names);
    } catch (error) {
      if (this.#stopping.signal.aborted) {
        attempt.withdraw();
        throw new RegistryError('unavailable', 'the registry is stopping', { cause: error });
      }
      throw attempt.fail(error);
    }
  }

  async #issue(names: readonly string[]): Promise<void> {
    const { certificates, listener, state } = this.#options;
    // one that has come and waits for the disk is not given up for another
    this.#handOver();
    await this.#nextKey();
    // the CA is not bothered in vain
    await listener?.listen();
    const { requestId = '', order, certificate } = this.#state;
    const request = {
      names,
      signingRequestPem: certificates.find(requestId).signingRequestPem ?? '',
      replacedPem: this.#mayReplace(names)
        ? certificates.whole(certificate?.id)?.chainPem
        : undefined,
      url: order?.requestId === requestId ? order.url : undefined,
    };
    const chain = await this.#issuer.issue(request, {
      onOrder: (url) => state.change({ order: { url, requestId } }),
      onStep: (step) => this.#step(step),
    });
    this.#step('checks the certificate');
    await checkOrderedNames(chain, request.signingRequestPem, names);
    try {
      const blobs = [Buffer.from(chain)];
      await certificates.completeSigningRequest({ certificateId: requestId, blobs }, ACTOR);
    } catch (error) {
      // the answer is of no use, and would be the same again
      if (error instanceof RegistryError) state.dropOrder();
      throw error;
    }
  }

  /** One that shares no name is another certificate (RFC 9773 §5). */
  #mayReplace(names: readonly string[]): boolean {
    return this.#state.certificate?.names.some((name) => names.includes(name)) ?? false;
  }

  /**
   * What is wanted between orders: somebody who answers the CA, room, and the next key. Goes on where the last
   * process was. Never throws: what stands in the way is told, and tried again.
   */
  async #prepare(): Promise<void> {
    try {
      await this.#listening.begin();
      this.#handOver();
      // makes room for the next key, and takes away what that has replaced
      this.#tidy();
      await this.#nextKey();
      this.#tidy();
      this.#hindrance.isOver();
    } catch (error) {
      this.#tidied = false;
      this.#hindrance.is(error);
    }
  }

  #handOver(): void {
    if (handOver(this.#options)) this.#tidied = false;
  }

  #tidy(): void {
    if (this.#tidied) return;
    const { certificates, audit, now } = this.#options;
    const needs = { actor: ACTOR, requestId: this.#state.requestId, now: now() };
    for (const id of needless(certificates.list(), needs)) {
      certificates.delete(id, undefined);
      audit.record({ actor: ACTOR, action: 'DeleteCertificate', target: id, outcome: 'ok' });
    }
    this.#tidied = true;
  }

  async #nextKey(): Promise<void> {
    const { requestId, certificate } = this.#state;
    const names = this.#names();
    const id = await this.#options.nextRequest.ensure(requestId, certificate?.id, names);
    if (id === requestId) return;
    this.#tidied = false;
    const { order: _, ...rest } = this.#state;
    this.#options.state.replace({ ...rest, requestId: id, requestNames: [...names] });
  }

  // ---- what it goes by, and what it tells

  get #state(): AcmeState {
    return this.#options.state.value;
  }

  #names(): readonly string[] {
    const { config, requiredNames } = this.#options;
    return config.names.length > 0 ? config.names : requiredNames.get();
  }

  #wanted(): string {
    return ingredients(this.#options.config, this.#names());
  }

  #tell(rotation?: Parameters<TellProgress>[1]): void {
    const source = this.describe();
    for (const tell of this.#tellers) tell(source, rotation);
  }

  #step(step: string): void {
    this.#options.status.working(step);
    this.#tell();
  }
}
