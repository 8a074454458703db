import type { MetricDefinition } from './metrics.ts';

/** Every metric that Concert exports, in one place, so that dashboards and alerts have one source. */
export const METRICS = {
  generation: {
    name: 'concert_generation',
    help: 'Generation of the TLS material in force; of workers the oldest',
    aggregator: 'min',
  },
  certificateExpiry: {
    name: 'concert_certificate_not_after_seconds',
    help: 'End of validity of the certificate in force, seconds since the epoch',
    aggregator: 'min',
  },
  stale: {
    name: 'concert_subscriber_stale',
    help: 'Processes whose lease from the registry is out',
  },
  fenced: { name: 'concert_subscriber_fenced', help: 'Processes that refuse new handshakes' },
  handshakes: {
    name: 'concert_tls_handshakes_total',
    help: 'TLS handshakes by version and outcome',
  },
  connections: { name: 'concert_connections', help: 'Open connections by listener' },
  logins: { name: 'concert_logins_total', help: 'Logins by outcome' },
  messagesStored: { name: 'concert_messages_stored_total', help: 'Messages stored by way' },
  subscribers: { name: 'concert_registry_subscribers', help: 'Subscribers by state' },
  rotations: { name: 'concert_registry_rotations_total', help: 'Rotations by outcome' },
  rotationSkew: { name: 'concert_registry_rotation_skew_seconds', help: 'Skew of rotations' },
  rotationDuration: {
    name: 'concert_registry_rotation_seconds',
    help: 'Time of rotations from call to verification',
  },
} as const satisfies Record<string, MetricDefinition>;
