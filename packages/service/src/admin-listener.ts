/**
 * The HTTP listener for probes and scrapes: /livez (also /healthz), /startupz, /readyz, /metrics. It reads
 * nothing but a request line, and says nothing that would help a stranger; still it is for the inside.
 */
import { createServer, type Server } from 'node:http';
import { listenError, ServiceError } from './errors.ts';
import type { Health } from './health.ts';
import type { Exposition } from './metrics.ts';

const LIMITS = {
  requestMs: 5_000,
  idleMs: 5_000,
  connections: 64,
  headerBytes: 8 * 1024,
  requestsPerConnection: 1_000,
} as const;

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type: string;
  readonly allow?: string;
}

function json(status: number, body: object): Answer {
  return { status, body: `${JSON.stringify(body)}\n`, type: 'application/json' };
}

/** `address` is "host:port"; IPv6 hosts in brackets. Throws ServiceError. */
export async function openAdminListener(
  address: string,
  health: Health,
  metrics: Exposition,
): Promise<Server> {
  const url = URL.canParse(`http://${address}`) ? new URL(`http://${address}`) : undefined;
  if (url === undefined) {
    throw new ServiceError('bad-setting', `CONCERT_ADMIN_LISTEN wants host:port, not "${address}"`);
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port === '' ? 80 : url.port);

  /** Scrapes that come while one is being answered share its answer. */
  let scraping: Promise<string> | undefined;
  const scrape = async (): Promise<Answer> => {
    scraping ??= metrics.expose().finally(() => {
      scraping = undefined;
    });
    try {
      return { status: 200, body: await scraping, type: metrics.contentType };
    } catch {
      return json(503, { status: 'failed', reason: 'the figures could not be gathered' });
    }
  };

  const answerTo = (path: string): Answer | Promise<Answer> => {
    switch (path) {
      case '/livez':
      case '/healthz':
        return json(200, { status: 'alive' });
      case '/startupz':
        return health.started
          ? json(200, { status: 'started' })
          : json(503, { status: 'starting' });
      case '/readyz':
        return health.ready
          ? json(200, { status: 'ready' })
          : json(503, { status: 'not ready', unmet: health.unmet });
      case '/metrics':
        return scrape();
      default:
        return json(404, { status: 'not found' });
    }
  };

  const server = createServer(
    {
      requestTimeout: LIMITS.requestMs,
      headersTimeout: LIMITS.requestMs,
      keepAliveTimeout: LIMITS.idleMs,
      connectionsCheckingInterval: LIMITS.requestMs,
      maxHeaderSize: LIMITS.headerBytes,
    },
    async (request, response) => {
      const reads = request.method === 'GET' || request.method === 'HEAD';
      const { status, body, type, allow } = reads
        ? await answerTo((request.url ?? '').replace(/\?.*$/s, ''))
        : { ...json(405, { status: 'method not allowed' }), allow: 'GET, HEAD' };
      // a body that nobody will read must not hold the connection
      if (request.headers['content-length'] ?? request.headers['transfer-encoding']) {
        response.shouldKeepAlive = false;
      }
      response.writeHead(status, {
        'content-type': type,
        'content-length': Buffer.byteLength(body),
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        ...(allow !== undefined && { allow }),
      });
      response.end(request.method === 'HEAD' ? undefined : body);
    },
  );
  server.maxConnections = LIMITS.connections;
  server.maxRequestsPerSocket = LIMITS.requestsPerConnection;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  return server;
}
