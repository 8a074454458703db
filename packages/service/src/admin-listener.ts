/** The HTTP listener for probes and scrapes: /healthz, /readyz, /metrics. Nothing else, no secrets. */
import { createServer, type Server } from 'node:http';
import { listenError, ServiceError } from './errors.ts';
import type { Health } from './health.ts';
import type { Exposition } from './metrics.ts';

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
  const server = createServer(async (request, response) => {
    const answer = (status: number, body: string, type = 'text/plain; charset=utf-8') => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
      response.end(body);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, 'only GET\n');
    switch (request.url) {
      case '/healthz':
        return answer(200, 'alive\n');
      case '/readyz':
        return health.ready
          ? answer(200, 'ready\n')
          : answer(
              503,
              `${Object.entries(health.unmet)
                .map(([name, why]) => `${name}: ${why}\n`)
                .join('')}`,
            );
      case '/metrics':
        return answer(200, await metrics.expose(), metrics.contentType);
      default:
        return answer(404, 'not found\n');
    }
  });
  server.requestTimeout = 5_000;
  server.headersTimeout = 5_000;
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  return server;
}
