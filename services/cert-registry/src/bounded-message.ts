/**
 * What subscribers say, cut to what is kept of it: a message may be a megabyte, and its texts go into the
 * fleet's view, the history and every watcher's stream. Who subscribes is known; what it sends is not.
 */
import type { PortObservation } from '@mail/proto';
import { LIMITS } from './config.ts';
import type { FromSubscriber } from './coordinator.ts';

/** The message with each text and list within its limit. Hello is checked, not cut. */
export function bounded(message: FromSubscriber): FromSubscriber {
  const { $case, value } = message;
  switch ($case) {
    case 'rejected': {
      const [code, detail] = [
        cut(value.code, LIMITS.codeBytes),
        cut(value.detail, LIMITS.detailBytes),
      ];
      return { $case, value: { ...value, code, detail } };
    }
    case 'activated': {
      const fingerprintSha256 = cut(value.fingerprintSha256, LIMITS.fingerprintBytes);
      return { $case, value: { ...value, fingerprintSha256 } };
    }
    case 'verified':
      return { $case, value: { ...value, ports: boundedPorts(value.ports) } };
    default:
      return message;
  }
}

/** Ports beyond the limit are not forgotten: an entry without a fingerprint stands for them, which proves nothing. */
function boundedPorts(ports: readonly PortObservation[]): PortObservation[] {
  const beyond = ports.length - LIMITS.observedPorts;
  const kept = ports.slice(0, LIMITS.observedPorts).map(boundedPort);
  if (beyond <= 0) return kept;
  const error = `more than ${LIMITS.observedPorts} ports are not looked at`;
  return [...kept, { listener: `${beyond} more`, fingerprintSha256: '', error }];
}

function boundedPort({ listener, fingerprintSha256, error }: PortObservation): PortObservation {
  return {
    listener: cut(listener, LIMITS.listenerBytes),
    fingerprintSha256: cut(fingerprintSha256, LIMITS.fingerprintBytes),
    error: cut(error, LIMITS.portErrorBytes),
  };
}

const encoder = new TextEncoder();
const scratch = new Uint8Array(LIMITS.detailBytes);

/** At most that many bytes of UTF-8, whole characters only. */
function cut(text: string, bytes: number): string {
  if (text.length * 3 <= bytes) return text;
  return text.slice(0, encoder.encodeInto(text, scratch.subarray(0, bytes)).read);
}
