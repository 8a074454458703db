/**
 * Questions to one DNS server: by UDP, by TCP where the answer does not fit, asked again where none comes.
 * An answer counts only with our id and question, from the server asked.
 */
import { randomInt } from 'node:crypto';
import { DnsError } from './errors.ts';
import { exchangeByTcp, exchangeByUdp } from './exchange.ts';
import { type DnsServer, describeServer } from './server.ts';
import {
  type Answer,
  checkName,
  decodeMessage,
  encodeQuery,
  type Message,
  type Question,
  rcodeOf,
} from './wire.ts';

const UDP_ATTEMPTS = 3;
const ATTEMPT_MS = 2_000;
const MAX_ALIASES = 8;

export type AnswerType = 'TLSA' | 'TXT' | 'SOA' | 'NS' | 'A' | 'AAAA';
export type RecordOf<Type extends AnswerType> = Extract<Answer, { readonly data: unknown }> & {
  readonly type: Type;
};

export interface DnsAnswer<Type extends AnswerType> {
  /** False for a name that does not exist (NXDOMAIN). */
  readonly exists: boolean;
  /** DNSSEC vouches for it, so the resolver says (AD, RFC 4035 §3.2.3). */
  readonly authenticated: boolean;
  /** The name, in lower case, or where its CNAMEs lead as far as this server says. */
  readonly owner: string;
  /** Of the type asked for, there. */
  readonly records: readonly RecordOf<Type>[];
  /**
   * How long a cache may keep it: the largest TTL of the records and of the CNAMEs before them; where there
   * are none, of the CNAMEs and of their absence (RFC 2308 §5), 0 where the zone does not say. A cache counts
   * down.
   */
  readonly ttlSeconds: number;
  /** The owner of the SOA that an answer without records names: the zone that the name would be in. */
  readonly zone: string | undefined;
}

export interface QueryOptions {
  /** True for a resolver, false for a server asked about its own zones. */
  readonly recursion: boolean;
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for each of three tries. */
  readonly attemptMs?: number;
}

/**
 * Throws DnsError: bad-name, unreachable, timed-out, stopped, bad-answer, and refused or server-failure where
 * the answer is neither records nor their absence.
 */
export async function query<Type extends AnswerType>(
  server: DnsServer,
  type: Type,
  name: string,
  { recursion, signal, attemptMs = ATTEMPT_MS }: QueryOptions,
): Promise<DnsAnswer<Type>> {
  const question = { type, name: checkName(name) };
  const id = randomInt(0x1_0000);
  const request = encodeQuery(id, question, recursion);
  const accept = (datagram: Buffer) => acceptAnswer(datagram, id, question);
  let message = await byUdp(server, request, accept, attemptMs, signal);
  if (message.flag_tc) {
    const bytes = await exchangeByTcp(server, request, attemptMs * UDP_ATTEMPTS, signal);
    const whole = accept(bytes);
    if (whole === undefined || whole.flag_tc) {
      throw new DnsError('bad-answer', `${describeServer(server)} answered something else by TCP`);
    }
    message = whole;
  }
  return readAnswer(message, question, server, recursion);
}

async function byUdp(
  server: DnsServer,
  request: Buffer,
  accept: (datagram: Buffer) => Message | undefined,
  attemptMs: number,
  signal: AbortSignal | undefined,
): Promise<Message> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      // a socket of its own, so a port of its own, for each try
      return await exchangeByUdp(server, request, accept, attemptMs, signal);
    } catch (error) {
      const again = error instanceof DnsError && error.code === 'timed-out';
      if (!again || attempt === UDP_ATTEMPTS) throw error;
    }
  }
}

/** Undefined for what is no answer to this question. Never throws. */
export function acceptAnswer(bytes: Buffer, id: number, asked: Question): Message | undefined {
  let message: Message;
  try {
    message = decodeMessage(bytes);
  } catch (error) {
    if (error instanceof DnsError) return undefined;
    throw error;
  }
  const [question, another] = message.questions ?? [];
  const ours =
    message.flag_qr &&
    message.id === id &&
    message.opcode === 'QUERY' &&
    another === undefined &&
    question?.type === asked.type &&
    question.class === 'IN' &&
    question.name.toLowerCase() === asked.name;
  return ours ? message : undefined;
}

/** What an accepted answer says. Throws DnsError (bad-answer, refused, server-failure). */
export function readAnswer<Type extends AnswerType>(
  message: Message,
  asked: { readonly type: Type; readonly name: string },
  server: DnsServer,
  recursion: boolean,
): DnsAnswer<Type> {
  const rcode = rcodeOf(message);
  const said = `${describeServer(server)} answers ${rcode} for ${asked.type} of ${asked.name}`;
  if (rcode === 'REFUSED') throw new DnsError('refused', said);
  if (rcode !== 'NOERROR' && rcode !== 'NXDOMAIN') {
    const bogus = rcode === 'SERVFAIL' ? '; with a validating resolver, DNSSEC may be broken' : '';
    throw new DnsError('server-failure', `${said}${bogus}`);
  }
  // a referral is neither presence nor absence
  if (!message.flag_aa && !(recursion && message.flag_ra)) {
    throw new DnsError(
      'bad-answer',
      `${describeServer(server)} ${recursion ? 'is no resolver' : 'does not serve the zone'} of ${asked.name}`,
    );
  }
  const { answers = [], authorities = [] } = message;
  const { owner, ttl } = followAliases(answers, asked.name);
  const records = answers.filter(
    (record): record is RecordOf<Type> =>
      record.type === asked.type && isIn(record) && record.name.toLowerCase() === owner,
  );
  const ttls = records.map((record) => ttlOf(record));
  const soa = authorities.find((record) => record.type === 'SOA');
  return {
    exists: rcode === 'NOERROR',
    authenticated: message.flag_ad,
    owner,
    records,
    ttlSeconds: Math.max(ttl, ...(records.length === 0 ? [absenceTtl(soa)] : ttls)),
    zone: records.length === 0 ? soa?.name.toLowerCase() : undefined,
  };
}

function followAliases(answers: readonly Answer[], name: string): { owner: string; ttl: number } {
  let owner = name;
  let ttl = 0;
  for (let hops = 0; hops < MAX_ALIASES; hops += 1) {
    const alias = answers.find(
      (record) => record.type === 'CNAME' && record.name.toLowerCase() === owner,
    );
    if (alias?.type !== 'CNAME') break;
    owner = alias.data.toLowerCase();
    ttl = Math.max(ttl, ttlOf(alias));
  }
  return { owner, ttl };
}

/** RFC 2308 §5: the lesser of the SOA's TTL and its MINIMUM. */
function absenceTtl(soa: Answer | undefined): number {
  return soa?.type === 'SOA' ? Math.min(ttlOf(soa), soa.data.minimum ?? 0) : 0;
}

function isIn(record: Answer): boolean {
  return 'class' in record && record.class === 'IN';
}

/** RFC 2181 §8: with the highest bit set it is 0. */
function ttlOf(record: Answer): number {
  const ttl = 'ttl' in record ? (record.ttl ?? 0) : 0;
  return ttl > 0x7fff_ffff ? 0 : ttl;
}
