/** Warnings as JSON to an HTTP endpoint, signed where a secret is set. */
import { createHmac } from 'node:crypto';
import { type Channel, describeNotice, SEND_TIMEOUT_MS } from './channel.ts';

export interface WebhookOptions {
  readonly url: URL;
  readonly secret: string | undefined;
}

/**
 * POSTs {"text", "notices": [{"kind", "code", "subject", "level", "message", "since"}]}; "text" is what chat
 * systems show. With a secret the header Concert-Signature is "sha256=" and the hex HMAC-SHA-256 of the body.
 */
export function webhookChannel({ url, secret }: WebhookOptions): Channel {
  return {
    name: 'webhook',
    send: async (notices, signal) => {
      const body = JSON.stringify({
        text: notices.map(describeNotice).join('\n'),
        notices: notices.map(({ kind, warning, since }) => ({
          kind,
          ...warning,
          since: new Date(since).toISOString(),
        })),
      });
      const signature =
        secret === undefined
          ? {}
          : {
              'Concert-Signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
            };
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...signature },
        body,
        // what answers "look elsewhere" is not what the operator named
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(SEND_TIMEOUT_MS)]),
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`the webhook answered ${response.status}`);
    },
    close: () => {},
  };
}
