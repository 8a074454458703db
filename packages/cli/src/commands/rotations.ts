/** `concert rotations`: who switched what, when, and how it went. */
import { CertRegistryServiceService } from '@mail/proto';
import type { Command } from 'commander';
import { examples, type Run } from '../command.ts';
import { parseWholeNumber } from '../numbers.ts';
import { columns, milliseconds, when } from '../output.ts';
import { proofOf } from '../rotation-progress.ts';
import { type RotationView, rotationView } from '../views.ts';

function outcome(rotation: RotationView): string {
  if (rotation.failure !== '') return rotation.failure;
  return proofOf(rotation);
}

/** There is none where nobody switched. */
function hasSkew({ outcomes }: RotationView): boolean {
  return outcomes.some(({ phase }) => ['active', 'verified', 'unverified'].includes(phase));
}

export function addRotationsCommand(program: Command, run: Run): void {
  program
    .command('rotations')
    .description('list the switches, newest first, with what each subscriber did (--json)')
    .option('--limit <n>', 'how many, 1 to 1000', parseWholeNumber(1, 1000), 20)
    .addHelpText('after', examples('concert rotations', 'concert rotations --limit 1 --json'))
    .action((options: { limit: number }) =>
      run(async ({ registry, palette }) => {
        const client = await registry();
        const response = await client.unary(CertRegistryServiceService.listRotations, {
          limit: options.limit,
          beforeId: 0n,
        });
        const rotations = response.rotations.map(rotationView);
        const rows = rotations.map((rotation) => [
          String(rotation.id),
          when(rotation.startedAt),
          rotation.kind,
          rotation.toGeneration === 0
            ? `${rotation.fromGeneration}`
            : `${rotation.fromGeneration} to ${rotation.toGeneration}`,
          rotation.toCertificateId,
          rotation.state,
          hasSkew(rotation) ? milliseconds(rotation.skewMs) : '',
          rotation.actor,
          outcome(rotation),
        ]);
        const headings = ['ID', 'STARTED', 'KIND', 'GENERATION', 'CERTIFICATE', 'STATE', 'SKEW'];
        const text = columns([...headings, 'BY', 'OUTCOME'], rows, (line, row) => {
          const state = rotations[row]?.state;
          if (state === 'aborted') return palette.bad(line);
          return state === 'incomplete' ? palette.warn(line) : line;
        });
        return { json: { rotations }, text };
      }),
    );
}
