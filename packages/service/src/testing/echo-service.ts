/** The smallest service, for the tests of run-service: HTTP that answers with its process id and loses its readiness at a word. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { listenError } from '../errors.ts';
import { METRICS } from '../metric-names.ts';
import { runService } from '../run-service.ts';

await runService('echo', async ({ settings, health, metrics }) => {
  metrics.gauge(METRICS.connectionsOpen).set({ listener: 'echo' }, 1);
  const server = createServer((request, response) => {
    if (request.url === '/unready') health.set('test', 'told to');
    response.setHeader('connection', 'close');
    response.end(String(process.pid));
  });
  const port = Number(settings['CONCERT_TEST_PORT']);
  return {
    async run() {
      const failed = new Promise<never>((_, reject) => {
        server.once('error', (error) => reject(listenError(error, '127.0.0.1', port)));
      });
      server.listen(port, '127.0.0.1');
      await Promise.race([once(server, 'listening'), failed]);
    },
    async close() {
      server.close();
    },
  };
});
