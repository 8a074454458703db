/** `concert audit`: who did what, when, with which outcome. */
import { CertRegistryServiceService } from '@mail/proto';
import type { Command } from 'commander';
import { examples, type Run } from '../command.ts';
import { parseWholeNumber } from '../numbers.ts';
import { columns, when } from '../output.ts';
import { auditEventView } from '../views.ts';

export function addAuditCommand(program: Command, run: Run): void {
  program
    .command('audit')
    .description("list the registry's audit trail, newest first")
    .option('--limit <n>', 'how many, 1 to 1000', parseWholeNumber(1, 1000), 50)
    .addHelpText('after', examples('concert audit --limit 10'))
    .action((options: { limit: number }) =>
      run(async ({ registry, palette }) => {
        const client = await registry();
        const response = await client.unary(CertRegistryServiceService.listAuditEvents, {
          limit: options.limit,
          beforeId: 0n,
        });
        const events = response.events.map(auditEventView);
        const text = columns(
          ['ID', 'AT', 'BY', 'ACTION', 'TARGET', 'OUTCOME'],
          events.map((event) => [
            String(event.id),
            when(event.at),
            event.actor,
            event.action,
            event.target,
            event.outcome,
          ]),
          (line, row) => (events[row]?.outcome === 'ok' ? line : palette.warn(line)),
        );
        return { json: { events }, text };
      }),
    );
}
