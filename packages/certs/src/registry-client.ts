/**
 * Connections to the registry by mutual TLS. The registry proves itself by its URI name, not by a host
 * name, so it may be reached under any address.
 */
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import {
  type ChannelCredentials,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  Metadata,
} from '@grpc/grpc-js';
import {
  CertSubscriptionServiceClient,
  IdentityServiceClient,
  type SubscribeRequest,
  type SubscribeResponse,
} from '@mail/proto';
import { checkRegistryIdentity, type Identity } from '@mail/service';

const CHANNEL_OPTIONS = {
  // a half-dead connection shows within seconds, also while nothing is said
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  // a certificate with its chain is some kilobytes
  'grpc.max_receive_message_length': 1024 * 1024,
  // each attempt is a channel of its own, whose back-off is ours
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
};

/** How long a call that renews an identity may take. */
const RENEW_TIMEOUT_MS = 10_000;
/** How long the registry may take to end a stream whose other half has ended. */
const GOODBYE_TIMEOUT_MS = 1_000;
/** How long TCP and TLS to the registry may take. */
const CONNECT_TIMEOUT_MS = 5_000;

function credentialsOf(identity: Identity): ChannelCredentials {
  const context = createSecureContext({
    ca: identity.caPem,
    key: identity.keyPem,
    cert: identity.chainPem,
    minVersion: 'TLSv1.3',
    // the group that the registry takes; offering others as well makes its hello larger for nothing
    ecdhCurve: 'X25519',
  });
  return credentials.createFromSecureContext(context, {
    checkServerIdentity: checkRegistryIdentity,
  });
}

function channelOptions(address: string) {
  const host = address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  // RFC 6066 §3 knows no addresses in SNI, and Node refuses them; grpc-js would send one
  return isIP(host) === 0
    ? CHANNEL_OPTIONS
    : { ...CHANNEL_OPTIONS, 'grpc.ssl_target_name_override': 'registry.concert.invalid' };
}

export interface RegistryCall {
  readonly stream: ClientDuplexStream<SubscribeRequest, SubscribeResponse>;
  /** Resolves once TLS stands; rejects when it cannot or takes some seconds. */
  readonly connected: Promise<void>;
  /**
   * Says goodbye: ends our half of the stream, which tells the registry that nothing is served any more,
   * waits for it to end its own, and closes. Never rejects.
   */
  leave(): Promise<void>;
  /** Cancels the call and closes the connection: to the registry that may be a partition. */
  close(): void;
}

/** Opens a connection and the one stream on it. `address` is "host:port". */
export function openSubscription(address: string, identity: Identity): RegistryCall {
  const client = new CertSubscriptionServiceClient(
    address,
    credentialsOf(identity),
    channelOptions(address),
  );
  const stream = client.subscribe();
  const channel = client.getChannel();
  const deadline = Date.now() + CONNECT_TIMEOUT_MS;
  const connected = new Promise<void>((resolve, reject) => {
    // a call that finds no connection ends, and says why
    stream.once('error', reject);
    const look = () => {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) return resolve();
      if (state === connectivityState.SHUTDOWN) return reject(new Error('closed'));
      channel.watchConnectivityState(state, deadline, (error) => {
        if (error) reject(new Error('the registry does not answer', { cause: error }));
        else look();
      });
    };
    look();
  });
  const close = () => {
    stream.cancel();
    client.close();
  };
  return {
    stream,
    connected,
    close,
    leave: async () => {
      const answered = Promise.withResolvers<void>();
      const timer = setTimeout(answered.resolve, GOODBYE_TIMEOUT_MS);
      stream.once('status', () => answered.resolve());
      stream.end();
      await answered.promise;
      clearTimeout(timer);
      close();
    },
  };
}

/** Has the registry sign `signingRequestPem` under the name that `identity` proves. Throws its refusal. */
export async function requestRenewal(
  address: string,
  identity: Identity,
  signingRequestPem: string,
): Promise<{ readonly chainPem: string; readonly caPem: string }> {
  const client = new IdentityServiceClient(
    address,
    credentialsOf(identity),
    channelOptions(address),
  );
  try {
    return await new Promise((resolve, reject) => {
      const deadline = Date.now() + RENEW_TIMEOUT_MS;
      client.renewIdentity(
        { signingRequestPem },
        new Metadata(),
        { deadline },
        (error, response) => {
          if (error) reject(error);
          else resolve(response);
        },
      );
    });
  } finally {
    client.close();
  }
}
