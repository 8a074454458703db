/**
 * HTTP to an ACME server, within limits: https only where the directory is, the operator's own trust where it is given, only
 * URLs that the CA may lead to (reachable-urls.ts), no redirects, bounded answers, a deadline on each request and an end to all of them.
 * What the answers mean is connection.ts's.
 */
import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  Agent as PlainAgent,
  request as plainRequest,
} from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import { AcmeError, describeProblem, plainText, problemSchema } from './errors.ts';
import { isAcceptable, mayFollow } from './reachable-urls.ts';

const TIMEOUT_MS = 30_000;
/** Certificate chains and directories stay far below. */
const MAX_BODY_BYTES = 256 * 1024;
const SOCKETS = 4;
/** RFC 8555 §6.1 wants one. */
const USER_AGENT = 'Concert (acme-client)';

export interface AcmeResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Parsed where it is JSON, else text. */
  readonly data: unknown;
}

export interface TransportOptions {
  readonly directoryUrl: string;
  /** PEM of the only authorities to trust; Node's own list where it is not given. */
  readonly caPem?: string | undefined;
  /** Ends whatever is under way. */
  readonly signal: AbortSignal;
  /** Wall clock, milliseconds: Retry-After may be a date. */
  readonly now: () => number;
}

export class AcmeTransport {
  readonly #options: TransportOptions;
  readonly #secure: SecureAgent;
  readonly #plain: PlainAgent;

  constructor(options: TransportOptions) {
    this.#options = options;
    const keep = { keepAlive: true, maxSockets: SOCKETS };
    const ca = options.caPem === undefined ? {} : { ca: options.caPem };
    this.#secure = new SecureAgent({ ...keep, ...ca, minVersion: 'TLSv1.2' });
    this.#plain = new PlainAgent(keep);
  }

  close(): void {
    this.#secure.destroy();
    this.#plain.destroy();
  }

  /** What the CA names to be asked. Throws AcmeError (bad-answer) where we do not. */
  checkUrl(url: string): URL {
    const target = URL.canParse(url) ? new URL(url) : undefined;
    if (target === undefined || !isAcceptable(target)) {
      throw new AcmeError('bad-answer', `the CA names a URL that is not https: ${plainText(url)}`);
    }
    if (!mayFollow(target, new URL(this.#options.directoryUrl))) {
      throw new AcmeError(
        'bad-answer',
        `the CA names a URL of this host or a private network: ${plainText(url)}`,
      );
    }
    return target;
  }

  /**
   * Throws AcmeError: unreachable, bad-answer, stopped, or the server's problem. One of the type badNonce
   * is returned, since whoever signed the request can repeat it (RFC 8555 §6.5).
   */
  async request(url: string, method: string, body?: unknown): Promise<AcmeResponse> {
    const target = this.checkUrl(url);
    const { signal } = this.#options;
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    let response: AcmeResponse;
    try {
      response = await this.#exchange(target, method, body, AbortSignal.any([signal, timeout]));
    } catch (cause) {
      if (signal.aborted) throw stopReason(signal);
      if (cause instanceof AcmeError) throw cause;
      const reason = timeout.aborted ? `no answer in ${TIMEOUT_MS / 1000} s` : describeCause(cause);
      throw new AcmeError('unreachable', `${target.host} can't be reached: ${reason}`, { cause });
    }
    this.#refuse(response);
    return response;
  }

  async #exchange(
    url: URL,
    method: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<AcmeResponse> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      'user-agent': USER_AGENT,
      'accept-language': 'en',
      ...(payload === undefined
        ? {}
        : {
            'content-type': 'application/jose+json',
            'content-length': Buffer.byteLength(payload),
          }),
    };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request =
      url.protocol === 'https:'
        ? secureRequest(url, { method, headers, signal, agent: this.#secure })
        : plainRequest(url, { method, headers, signal, agent: this.#plain });
    request.once('response', resolve).once('error', reject).end(payload);
    const message = await promise;
    const { statusCode: status = 0, headers: told } = message;
    return { status, headers: told, data: await dataOf(message, status) };
  }

  #refuse({ status, headers, data }: AcmeResponse): void {
    if (status < 400 && status >= 200) {
      if (status < 300) return;
      throw new AcmeError('bad-answer', `the CA answers with a redirect (HTTP ${status})`, {
        status,
      });
    }
    const retryAfterMs = readRetryAfter(headers['retry-after'], this.#options.now());
    const more = { status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    const parsed = problemSchema.safeParse(data);
    if (!parsed.success) throw new AcmeError('bad-answer', `the CA answers HTTP ${status}`, more);
    const problem = parsed.data;
    const error = new AcmeError('problem', `the CA says ${describeProblem(problem)}`, {
      problem,
      ...more,
    });
    if (error.problemType !== 'badNonce') throw error;
  }
}

/** Seconds or a date (RFC 9110 §10.2.3), as milliseconds from now. */
export function readRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Why `signal` was aborted, as our error: our own reason, or that the registry is stopping. */
export function stopReason(signal: AbortSignal): AcmeError {
  const { reason } = signal;
  return reason instanceof AcmeError
    ? reason
    : new AcmeError('stopped', 'the registry is stopping');
}

/** Of a refusal its status and Retry-After count, whatever a server or a proxy writes below them. */
async function dataOf(message: IncomingMessage, status: number): Promise<unknown> {
  try {
    return read(await collect(message), message.headers['content-type'] ?? '');
  } catch (error) {
    if (status < 400 || !(error instanceof AcmeError)) throw error;
    return undefined;
  }
}

async function collect(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of message) {
    length += (chunk as Buffer).length;
    if (length > MAX_BODY_BYTES) {
      throw new AcmeError('bad-answer', `the CA's answer is longer than ${MAX_BODY_BYTES} octets`);
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function read(text: string, type: string): unknown {
  if (text === '' || !/^application\/(problem\+)?json\b/.test(type)) return text;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AcmeError('bad-answer', 'the CA answers with JSON that is none', { cause });
  }
}

function describeCause(cause: unknown): string {
  // connecting to several addresses ends with an error of errors
  const first = cause instanceof AggregateError ? cause.errors[0] : cause;
  return plainText(first instanceof Error ? first.message : String(first));
}
