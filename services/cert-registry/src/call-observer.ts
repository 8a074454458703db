/**
 * Each gRPC call as it is seen from outside: its id, its end, its time. The id is the caller's own
 * (metadata `x-request-id`) where that is a sane one; it goes back in the trailers and into every line that
 * is logged on the way. Streams of subscribers are left alone: each message would cost, and they are counted
 * as subscribers.
 */
import { randomUUID } from 'node:crypto';
import { Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { CertSubscriptionServiceService } from '@mail/proto';
import { type LogFields, type Logger, METRICS, type Metrics, withLogFields } from '@mail/service';
import { identityOf } from './roles.ts';

export const REQUEST_ID = 'x-request-id';
/** What a request id may be that we write into logs. */
const SANE_ID = /^[\w.:-]{1,64}$/;

export function observeCalls(metrics: Metrics, logger: Logger): ServerInterceptor {
  const calls = metrics.counter(METRICS.rpcs);
  const durations = metrics.histogram(METRICS.rpcDuration);

  return ({ path }, call) => {
    // the declared type is narrower than what grpc-js asks for, which is the interface
    if (path === CertSubscriptionServiceService.subscribe.path)
      return call as ServerInterceptingCall;
    // grpc-js asks for paths that it serves alone: a closed set
    const method = path.slice(path.lastIndexOf('/') + 1);
    const startedAt = performance.now();
    const fields: LogFields = {
      request: randomUUID(),
      method,
      caller: identityOf(call.getAuthContext())?.uri,
    };
    let ended = false;
    const end = (code: status): void => {
      if (ended) return;
      ended = true;
      const seconds = (performance.now() - startedAt) / 1000;
      calls.inc({ method, code: status[code] ?? 'UNKNOWN' });
      durations.observe({ method }, seconds);
      withLogFields(fields, () =>
        logger.debug({ code: status[code], seconds }, 'a call has ended'),
      );
    };
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, proceed) => {
            const [given] = metadata.get(REQUEST_ID);
            if (typeof given === 'string' && SANE_ID.test(given)) fields['request'] = given;
            withLogFields(fields, () => proceed(metadata));
          },
          // here the handler begins
          onReceiveHalfClose: (proceed) => withLogFields(fields, proceed),
          onCancel: () => end(status.CANCELLED),
        }),
      sendStatus: ({ code, details, metadata }, proceed) => {
        const trailers = metadata ?? new Metadata();
        trailers.set(REQUEST_ID, String(fields['request']));
        end(code);
        proceed({ code, details, metadata: trailers });
      },
    });
  };
}
