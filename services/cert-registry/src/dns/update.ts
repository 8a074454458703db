/**
 * Dynamic updates of a zone (RFC 2136), signed by TSIG. By TCP alone: an update is then heard once, in whole,
 * and nobody can answer in the server's place from aside.
 */
import { randomInt } from 'node:crypto';
import { DnsError, type DnsErrorCode } from './errors.ts';
import { exchangeByTcp } from './exchange.ts';
import { type DnsServer, describeServer } from './server.ts';
import { type AnswerSignature, clocksDiffer, sign, type TsigKey, verifyAnswer } from './tsig.ts';
import { type Answer, checkName, decodeMessage, encodeUpdate, type RecordChange } from './wire.ts';

const TIMEOUT_MS = 10_000;
const MAX_TTL_S = 604_800;
/** Of one string of a TXT record (RFC 1035 §3.3.14). */
const TXT_BYTES = 255;

/** A record of a zone. TTLs in seconds. */
export type ZoneRecord =
  | {
      readonly type: 'TXT';
      readonly name: string;
      readonly ttl: number;
      /** Longer than 255 bytes it becomes several strings. */
      readonly text: string;
    }
  | {
      readonly type: 'TLSA';
      readonly name: string;
      readonly ttl: number;
      readonly usage: number;
      readonly selector: number;
      readonly matchingType: number;
      readonly data: Buffer;
    };

/** Records are added beside others of that name and type; one that is there stays. The same for removing. */
export interface ZoneChange {
  readonly action: 'add' | 'remove';
  readonly record: ZoneRecord;
}

export interface ZoneUpdate {
  /** The zone's primary. */
  readonly server: DnsServer;
  readonly zone: string;
  readonly key: TsigKey;
  /** Made all together, or none of them. */
  readonly changes: readonly ZoneChange[];
  readonly signal?: AbortSignal | undefined;
  /** Wall clock in milliseconds. */
  readonly now?: () => number;
}

/**
 * Resolves when the server says, signed, that it is done. Throws DnsError: bad-name, unreachable, timed-out,
 * stopped, bad-answer, refused, not-authoritative, not-in-zone, unknown-key, bad-signature, bad-time or
 * server-failure; the message says what to do.
 */
export async function updateZone(update: ZoneUpdate): Promise<void> {
  const { server, key, signal, now = Date.now } = update;
  const zone = checkName(update.zone);
  const changes = update.changes.map(toRecordChange);
  const id = randomInt(0x1_0000);
  const { message, mac } = sign(encodeUpdate(id, zone, changes), key, now());
  const bytes = await exchangeByTcp(server, message, TIMEOUT_MS, signal);

  const answer = decodeMessage(bytes);
  if (answer.id !== id || answer.opcode !== 'UPDATE' || !answer.flag_qr) {
    throw new DnsError('bad-answer', `${describeServer(server)} answered something else`);
  }
  const signature = verifyAnswer(bytes, key, mac, now());
  if (answer.rcode !== 'NOERROR') throw refusal(answer.rcode, signature, zone, update, now());
  if (signature?.verified !== true) {
    throw new DnsError(
      'bad-signature',
      `${describeServer(server)} says that the update is done, and does not sign it; nobody vouches for it`,
    );
  }
}

function toRecordChange({ action, record }: ZoneChange): RecordChange {
  const ttl = action === 'add' ? Math.min(record.ttl, MAX_TTL_S) : 0;
  const base = { name: checkName(record.name), ttl, class: 'IN' } as const;
  if (record.type === 'TXT') {
    return { action, record: { ...base, type: 'TXT', data: strings(record.text) } };
  }
  const { usage, selector, matchingType, data: certificate } = record;
  const encoded: Answer = {
    ...base,
    type: 'TLSA',
    data: { usage, selector, matchingType, certificate },
  };
  return { action, record: encoded };
}

function strings(text: string): Buffer[] {
  const bytes = Buffer.from(text);
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += TXT_BYTES) {
    parts.push(bytes.subarray(at, at + TXT_BYTES));
  }
  return parts;
}

/** In the operator's words: RFC 2136 §2.2, RFC 8945 §5.2. */
function refusal(
  rcode: string,
  signature: AnswerSignature | undefined,
  zone: string,
  { server, key }: ZoneUpdate,
  now: number,
): DnsError {
  const who = describeServer(server);
  const what = (): [DnsErrorCode, string] => {
    switch (signature?.error) {
      case 'BADKEY':
        return [
          'unknown-key',
          `${who} knows no key ${key.name} with ${key.algorithm}; compare name and algorithm with its settings`,
        ];
      case 'BADSIG':
      case 'BADTRUNC':
        return [
          'bad-signature',
          `${who} has another secret under the key ${key.name}; compare the secret with its settings`,
        ];
      case 'BADTIME': {
        const differ =
          signature.serverTime === undefined
            ? 'its clock and ours differ; set both by NTP'
            : clocksDiffer(signature.serverTime, now);
        return ['bad-time', `${who} does not take our time: ${differ}`];
      }
    }
    switch (rcode) {
      case 'NOTAUTH':
        return [
          'not-authoritative',
          `${who} is not the primary of the zone ${zone}; name the zone as it is there, and its primary`,
        ];
      case 'NOTZONE':
        return ['not-in-zone', `${who} says that a name of the update is outside the zone ${zone}`];
      case 'REFUSED':
        return [
          'refused',
          `${who} does not let the key ${key.name} change this in the zone ${zone}; allow it there (BIND: update-policy)`,
        ];
      default:
        return [
          'server-failure',
          `${who} could not change the zone ${zone}: ${rcode}; its log says why`,
        ];
    }
  };
  return new DnsError(...what());
}
