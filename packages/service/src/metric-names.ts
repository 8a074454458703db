/**
 * Every metric that Concert exports, in one place: call sites, the rules and the dashboard in
 * deploy/monitoring and the table in docs/monitoring.md have one source.
 *
 * Names follow Prometheus: base units, `_total` for counters, `_timestamp_seconds` since the epoch. The
 * labels job, instance, service and pod are the scraper's and are not used here. The names without a part
 * such as tls_ or registry_ are of the whole process.
 */
import type { MetricDefinition } from './metrics.ts';

/** From a handshake on the same host to one over a satellite. */
const HANDSHAKE_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const COMMIT_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];
const RPC_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30];

export const METRICS = {
  // ---- every process
  buildInfo: {
    name: 'concert_build_info',
    type: 'gauge',
    help: 'Always 1; what runs here and in which version.',
    labels: ['component', 'version'],
    aggregator: 'max',
  },
  processes: {
    name: 'concert_processes',
    type: 'gauge',
    help: 'Processes whose figures are in this answer: 1, or the workers that are up.',
  },
  ready: {
    name: 'concert_ready',
    type: 'gauge',
    help: 'Whether the process, with all its workers, is ready for service (1) or not (0).',
  },
  workerDeaths: {
    name: 'concert_worker_deaths_total',
    type: 'counter',
    help: 'Workers that ended by themselves; another took the place of each.',
  },
  logLines: {
    name: 'concert_log_lines_total',
    type: 'counter',
    help: 'Lines logged at level warn, error or fatal.',
    labels: ['level'],
  },

  // ---- the certificate: what is in force in this process (services) or for the fleet (registry)
  generation: {
    name: 'concert_generation',
    type: 'gauge',
    help: 'Generation of the TLS material in force, 0 for none; of workers the oldest.',
    aggregator: 'min',
  },
  certificateNotBefore: {
    name: 'concert_certificate_not_before_timestamp_seconds',
    type: 'gauge',
    help: 'Begin of validity of the certificate in force; 0 for none.',
    aggregator: 'min',
  },
  certificateExpiry: {
    name: 'concert_certificate_not_after_timestamp_seconds',
    type: 'gauge',
    help: 'End of validity of the certificate in force; 0 for none.',
    aggregator: 'min',
  },

  // ---- a service as a subscriber
  streamUp: {
    name: 'concert_registry_stream_up',
    type: 'gauge',
    help: 'Whether the stream to the registry is up (1) or not (0); of workers the least.',
    aggregator: 'min',
  },
  streamSince: {
    name: 'concert_registry_stream_since_timestamp_seconds',
    type: 'gauge',
    help: 'Since when the stream to the registry is as it is, up or not; of workers the latest.',
    aggregator: 'max',
  },
  streamLosses: {
    name: 'concert_registry_stream_losses_total',
    type: 'counter',
    help: 'Times that the stream to the registry went down.',
  },
  roundTrip: {
    name: 'concert_registry_round_trip_seconds',
    type: 'gauge',
    help: 'Shortest round trip to the registry on this stream; of workers the longest.',
    aggregator: 'max',
  },
  clockOffset: {
    name: 'concert_registry_clock_offset_seconds',
    type: 'gauge',
    help: 'Monotonic clock of the registry minus that of this process. They count from different moments: its changes tell drift, its size nothing.',
    aggregator: 'max',
  },
  clockError: {
    name: 'concert_registry_clock_error_seconds',
    type: 'gauge',
    help: 'How wrong the estimate of the clock of the registry may be; of workers the most.',
    aggregator: 'max',
  },
  stale: {
    name: 'concert_subscriber_stale',
    type: 'gauge',
    help: 'Processes whose certificate the registry has not vouched for within the lease.',
  },
  fenced: {
    name: 'concert_subscriber_fenced',
    type: 'gauge',
    help: 'Processes that refuse new handshakes since they are cut off from the registry.',
  },
  probedPorts: {
    name: 'concert_self_probe_ports',
    type: 'gauge',
    help: 'Own ports by what the last handshake with them showed: the certificate in force (match), another one (mismatch), none (failed).',
    labels: ['result'],
  },
  identityNotBefore: {
    name: 'concert_identity_not_before_timestamp_seconds',
    type: 'gauge',
    help: 'Begin of validity of the identity that this process shows in mutual TLS.',
    aggregator: 'min',
  },
  identityExpiry: {
    name: 'concert_identity_not_after_timestamp_seconds',
    type: 'gauge',
    help: 'End of validity of the identity that this process shows in mutual TLS.',
    aggregator: 'min',
  },

  // ---- TLS and connections of a mail service
  handshakes: {
    name: 'concert_tls_handshakes_total',
    type: 'counter',
    help: 'TLS handshakes that were completed, by version of TLS and whether a session was resumed.',
    labels: ['version', 'resumed'],
  },
  handshakeFailures: {
    name: 'concert_tls_handshake_failures_total',
    type: 'counter',
    help: 'TLS handshakes that were not completed, by reason.',
    labels: ['reason'],
  },
  handshakeDuration: {
    name: 'concert_tls_handshake_duration_seconds',
    type: 'histogram',
    help: 'From the first octets of a client to its completed TLS handshake.',
    buckets: HANDSHAKE_BUCKETS,
  },
  connectionsOpen: {
    name: 'concert_connections_open',
    type: 'gauge',
    help: 'Open connections by listener, those in a TLS handshake included.',
    labels: ['listener'],
  },
  connectionsAccepted: {
    name: 'concert_connections_accepted_total',
    type: 'counter',
    help: 'Connections that were taken, by listener.',
    labels: ['listener'],
  },
  connectionsRefused: {
    name: 'concert_connections_refused_total',
    type: 'counter',
    help: 'Connections that were refused before any session: over a limit, or a PROXY header that is none.',
    labels: ['listener', 'reason'],
  },

  // ---- mail
  logins: {
    name: 'concert_logins_total',
    type: 'counter',
    help: 'Logins by outcome (accepted, refused, not-authorized, throttled, busy, unavailable) and mechanism (plain, login, user, scram-sha-256, scram-sha-256-plus, oauthbearer, xoauth2).',
    labels: ['outcome', 'mechanism'],
  },
  messagesStored: {
    name: 'concert_messages_stored_total',
    type: 'counter',
    help: 'Messages that were stored durably, by way: mx, submission, append.',
    labels: ['way'],
  },
  messagesDelivered: {
    name: 'concert_messages_delivered_total',
    type: 'counter',
    help: 'Mailboxes that messages from SMTP were put into, by way: mx, submission.',
    labels: ['way'],
  },
  messagesRead: {
    name: 'concert_messages_read_total',
    type: 'counter',
    help: 'Message texts, or parts of them, that clients fetched, by way: retr, top, fetch.',
    labels: ['way'],
  },
  smtpRefusals: {
    name: 'concert_smtp_refusals_total',
    type: 'counter',
    help: 'SMTP commands that were refused, by command and enhanced status code.',
    labels: ['command', 'status'],
  },

  // ---- the mail store
  storeWrites: {
    name: 'concert_store_writes_total',
    type: 'counter',
    help: 'Writes to the mail store by outcome: done, refused (by a rule), failed (the database).',
    labels: ['outcome'],
  },
  storeWriteDuration: {
    name: 'concert_store_write_duration_seconds',
    type: 'histogram',
    help: 'From the asking for a write to its being durable.',
    buckets: COMMIT_BUCKETS,
  },
  storeCommits: {
    name: 'concert_store_commits_total',
    type: 'counter',
    help: 'Durable transactions of the mail store; several writes may share one.',
  },
  storeReadFailures: {
    name: 'concert_store_read_failures_total',
    type: 'counter',
    help: 'Reads from the mail store that the database failed.',
  },

  // ---- the registry
  subscribers: {
    name: 'concert_registry_subscribers',
    type: 'gauge',
    help: 'Subscribers by service and state (connected, lost).',
    labels: ['subscriber', 'state'],
  },
  subscribersLagging: {
    name: 'concert_registry_subscribers_lagging',
    type: 'gauge',
    help: 'Subscribers of any state, by service, that are not known to serve the active generation.',
    labels: ['subscriber'],
  },
  certificates: {
    name: 'concert_registry_certificates',
    type: 'gauge',
    help: 'Certificates that the registry holds.',
  },
  rotations: {
    name: 'concert_registry_rotations_total',
    type: 'counter',
    help: 'Rotations by kind (rotate, rollback, ticket_seed) and outcome (verified, incomplete, aborted).',
    labels: ['kind', 'outcome'],
  },
  rotationRunning: {
    name: 'concert_registry_rotation_running',
    type: 'gauge',
    help: 'Whether a rotation is under way.',
  },
  rotationSkew: {
    name: 'concert_registry_rotation_skew_seconds',
    type: 'histogram',
    help: 'Between the first and the last swap of a rotation, as subscribers report them.',
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1],
  },
  rotationDuration: {
    name: 'concert_registry_rotation_duration_seconds',
    type: 'histogram',
    help: 'From the call for a rotation to the proof by all ports.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  lastSwitch: {
    name: 'concert_registry_last_switch_timestamp_seconds',
    type: 'gauge',
    help: 'When the active generation was committed.',
  },
  lastSwitchSkew: {
    name: 'concert_registry_last_switch_skew_seconds',
    type: 'gauge',
    help: 'Skew of the last switch since the start of the registry.',
  },
  lastSwitchDuration: {
    name: 'concert_registry_last_switch_duration_seconds',
    type: 'gauge',
    help: 'Time of the last switch since the start of the registry, from call to proof; 0 when the proof is missing.',
  },
  commitFailures: {
    name: 'concert_registry_commit_failures_total',
    type: 'counter',
    help: 'Switches that the database or the vault could not write down.',
  },
  rpcs: {
    name: 'concert_registry_rpcs_total',
    type: 'counter',
    help: 'Calls by gRPC that have ended, by method and status code. Subscribe is counted as subscribers.',
    labels: ['method', 'code'],
  },
  rpcDuration: {
    name: 'concert_registry_rpc_duration_seconds',
    type: 'histogram',
    help: 'Time of gRPC calls, by method. RotateCertificate lasts as long as the rotation, WatchFleet as somebody watches.',
    labels: ['method'],
    buckets: RPC_BUCKETS,
  },
  denials: {
    name: 'concert_registry_denials_total',
    type: 'counter',
    help: 'Calls by gRPC that the role check refused, by status code.',
    labels: ['code'],
  },

  // ---- where certificates come from (the registry's sources)
  sourceLastSuccess: {
    name: 'concert_certificate_source_last_success_timestamp_seconds',
    type: 'gauge',
    help: 'When the source was last read or asked with success; 0 for never.',
    labels: ['source'],
  },
  sourceLastFailure: {
    name: 'concert_certificate_source_last_failure_timestamp_seconds',
    type: 'gauge',
    help: 'When the source last failed; 0 for never.',
    labels: ['source'],
  },
  sourceNextAttempt: {
    name: 'concert_certificate_source_next_attempt_timestamp_seconds',
    type: 'gauge',
    help: 'When the source acts next by itself; 0 where nothing is planned.',
    labels: ['source'],
  },
  sourceFailing: {
    name: 'concert_certificate_source_failing',
    type: 'gauge',
    help: 'Whether the last attempt of the source failed (1) or not (0).',
    labels: ['source'],
  },
  sourceAttempts: {
    name: 'concert_certificate_source_attempts_total',
    type: 'counter',
    help: 'Attempts of the source by outcome.',
    labels: ['source', 'outcome'],
  },
} as const satisfies Record<string, MetricDefinition>;
