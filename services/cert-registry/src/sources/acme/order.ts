/**
 * One order (RFC 8555 §7.4) from its begin, or from where a former process left it, to the chain: proofs for
 * the names that want one, the signing request, the answer. Waits as the CA asks to.
 */
import { z } from 'zod';
import type { ChallengeResponder, Proof } from './challenge.ts';
import type { AcmeConnection } from './connection.ts';
import { AcmeError, describeProblem, plainText, problemSchema } from './errors.ts';

export interface OrderRequest {
  readonly names: readonly string[];
  /** PKCS#10 for these names. */
  readonly signingRequestPem: string;
  readonly profile: string | undefined;
  /** RFC 9773 §4.1 of the certificate that it takes the place of. */
  readonly replaces: string | undefined;
  readonly preferredChain: string | undefined;
  /** An order for the same request that a former process made. */
  readonly url: string | undefined;
}

export interface OrderSurroundings {
  readonly connection: AcmeConnection;
  readonly responder: ChallengeResponder;
  readonly signal: AbortSignal;
  /** Resolves after that many milliseconds; rejects with the signal's reason. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Told of the order's URL before anything else is done with it. */
  readonly onOrder: (url: string) => void;
  /** Told what is done now, for people. */
  readonly onStep: (step: string) => void;
}

const orderSchema = z.object({
  status: z.enum(['pending', 'ready', 'processing', 'valid', 'invalid']),
  authorizations: z.array(z.string()).max(200),
  finalize: z.string(),
  certificate: z.string().optional(),
  error: problemSchema.optional(),
});
type Order = z.output<typeof orderSchema>;

const challengeSchema = z.object({
  type: z.string(),
  url: z.string(),
  status: z.string(),
  token: z.string().default(''),
  error: problemSchema.optional(),
});

const authorizationSchema = z.object({
  status: z.enum(['pending', 'valid', 'invalid', 'deactivated', 'expired', 'revoked']),
  identifier: z.object({ value: z.string() }),
  wildcard: z.boolean().default(false),
  challenges: z.array(challengeSchema).max(32),
});
type Authorization = z.output<typeof authorizationSchema>;

/** Between two looks, where the CA does not say: it grows to the second figure. */
const LOOK = { firstMs: 200, mostMs: 5_000, factor: 1.5 } as const;
/** As long as the CA may ask for between two looks. */
const LONGEST_LOOK_MS = 60_000;

/** The chain as PEM. Throws AcmeError. */
export async function fulfilOrder(
  request: OrderRequest,
  around: OrderSurroundings,
): Promise<string> {
  const { connection, onStep } = around;
  const { url, order: begun } = await beginOrder(request, around);
  let order = begun;
  if (order.status === 'pending') {
    await authorise(order, around);
    order = await lookUntil(url, orderSchema, ({ status }) => status !== 'pending', around);
  }
  if (order.status === 'ready') {
    onStep('asks the CA to sign');
    await connection.post(order.finalize, { csr: derOf(request.signingRequestPem) });
  }
  if (order.status === 'ready' || order.status === 'processing') {
    const ended = ({ status }: Order): boolean => status === 'valid' || status === 'invalid';
    order = await lookUntil(url, orderSchema, ended, around);
  }
  if (order.status !== 'valid' || order.certificate === undefined) throw refused(order);
  onStep('fetches the certificate');
  return connection.chain(order.certificate, request.preferredChain);
}

/** The order that was begun before, unless it is over; else a new one. */
async function beginOrder(
  request: OrderRequest,
  { connection, onOrder, onStep }: OrderSurroundings,
): Promise<{ url: string; order: Order }> {
  if (request.url !== undefined) {
    const order = await connection.read(request.url).catch((error) => {
      // servers forget orders, and other accounts' are forbidden
      if (error instanceof AcmeError && error.problem !== undefined && !error.rateLimited)
        return undefined;
      throw error;
    });
    const resumed = order && parse(orderSchema, order.body);
    if (resumed !== undefined && resumed.status !== 'invalid') {
      onStep('goes on with the order that was begun before');
      return { url: request.url, order: resumed };
    }
  }
  checkProfile(request.profile, connection);
  onStep(`orders a certificate for ${request.names.join(', ')}`);
  const { body, location } = await newOrder(request, connection);
  if (location === undefined)
    throw new AcmeError('bad-answer', 'the CA made an order and did not say where');
  onOrder(location);
  return { url: location, order: parse(orderSchema, body) };
}

async function newOrder(request: OrderRequest, connection: AcmeConnection) {
  const { names, profile, replaces } = request;
  const payload = {
    identifiers: names.map((value) => ({ type: 'dns', value })),
    ...(profile === undefined ? {} : { profile }),
  };
  const { newOrder: url, renewalInfo } = connection.directory;
  if (replaces === undefined || renewalInfo === undefined) return connection.post(url, payload);
  try {
    return await connection.post(url, { ...payload, replaces });
  } catch (error) {
    // RFC 9773 §5: replaced already, or a certificate that this CA or account does not know
    const cause = error instanceof AcmeError ? error : undefined;
    if (cause?.status !== 409 && cause?.problemType !== 'malformed') throw error;
    return connection.post(url, payload);
  }
}

/** A CA that has no such profile may answer with its default one. */
function checkProfile(profile: string | undefined, { directory }: AcmeConnection): void {
  const known = directory.meta.profiles;
  if (profile === undefined || (known !== undefined && profile in known)) return;
  const names = Object.keys(known ?? {})
    .slice(0, 20)
    .map((name) => plainText(name, 40));
  throw new AcmeError(
    'bad-setting',
    `the CA has no profile "${profile}"; CONCERT_ACME_PROFILE may be ${names.join(', ') || 'left out only'}`,
  );
}

/** Proves every name that is not proved already. */
async function authorise(order: Order, around: OrderSurroundings): Promise<void> {
  const { connection, responder, signal, onStep } = around;
  const urls = order.authorizations;
  const all = await Promise.all(
    urls.map(async (url) => ({
      url,
      ...parse(authorizationSchema, (await connection.read(url)).body),
    })),
  );
  const open = all.filter(({ status }) => status !== 'valid');
  if (open.length === 0) return;
  const challenges = open.map((authorization) => challengeOf(authorization, responder.type));
  const proofs = await Promise.all(
    open.map(async ({ identifier }, index): Promise<Proof> => {
      const { token = '' } = challenges[index] ?? {};
      const value = await connection.proofOf({ type: responder.type, token });
      return { name: identifier.value.toLowerCase(), token, value };
    }),
  );
  const names = open.map(nameOf).join(', ');
  onStep(`puts the proof for ${names} in place (${responder.type})`);
  const takeAway = await responder.provide(proofs, signal);
  try {
    onStep(`waits for the CA to look at ${names} (${responder.type})`);
    const unanswered = challenges.filter(({ status }) => status === 'pending');
    await Promise.all(unanswered.map(({ url }) => connection.post(url, {})));
    await Promise.all(open.map(({ url }) => proved(url, around)));
  } finally {
    await takeAway();
  }
}

async function proved(url: string, around: OrderSurroundings): Promise<void> {
  const seen = await lookUntil(
    url,
    authorizationSchema,
    ({ status }) => status !== 'pending',
    around,
  );
  if (seen.status === 'valid') return;
  throw unproved(seen);
}

function challengeOf(authorization: Authorization, type: string) {
  if (authorization.status !== 'pending') throw unproved(authorization);
  const challenge = authorization.challenges.find((offered) => offered.type === type);
  if (challenge !== undefined) return challenge;
  const offered = authorization.challenges.map((one) => plainText(one.type, 40)).join(', ');
  throw new AcmeError(
    'bad-setting',
    `for ${nameOf(authorization)} the CA takes ${offered}, not ${type}: set CONCERT_ACME_CHALLENGE`,
  );
}

function unproved(authorization: Authorization): AcmeError {
  const problem = authorization.challenges.find(({ error }) => error !== undefined)?.error;
  const name = nameOf(authorization);
  if (problem === undefined) {
    return new AcmeError(
      'challenge-failed',
      `the authorization for ${name} is ${authorization.status}`,
    );
  }
  const message = `the CA could not verify ${name}: ${describeProblem(problem)}`;
  return new AcmeError('challenge-failed', message, { problem });
}

function refused({ status, error }: Order): AcmeError {
  if (error === undefined)
    return new AcmeError('bad-answer', `the CA's order is ${status}, without a certificate`);
  return new AcmeError('problem', `the CA refuses the order: ${describeProblem(error)}`, {
    problem: error,
  });
}

function nameOf({ identifier, wildcard }: Authorization): string {
  return `${wildcard ? '*.' : ''}${plainText(identifier.value, 253)}`;
}

async function lookUntil<T>(
  url: string,
  schema: z.ZodType<T>,
  isDone: (value: T) => boolean,
  { connection, signal, pause }: OrderSurroundings,
): Promise<T> {
  let wait: number = LOOK.firstMs;
  for (;;) {
    const { body, retryAfterMs } = await connection.read(url);
    const value = parse(schema, body);
    if (isDone(value)) return value;
    await pause(Math.min(retryAfterMs ?? wait, LONGEST_LOOK_MS), signal);
    wait = Math.min(wait * LOOK.factor, LOOK.mostMs);
  }
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new AcmeError('bad-answer', `the CA's answer ${describeIssue(issue)}`);
}

function describeIssue(issue: z.core.$ZodIssue | undefined): string {
  const field = issue?.path.join('.') || 'everything';
  if (issue?.code === 'too_big') return `has more than ${issue.maximum} ${field}`;
  if (issue?.code === 'invalid_value') return `has no ${field} that RFC 8555 knows`;
  return `lacks ${field}`;
}

/** RFC 8555 §7.4: base64url of the DER. */
function derOf(pem: string): string {
  return Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64').toString('base64url');
}
