/** `concert source list` and `concert source run`: what brings certificates by itself. */
import { CertRegistryServiceService } from '@mail/proto';
import type { Command } from 'commander';
import { type CommandContext, type CommandResult, examples, type Run } from '../command.ts';
import { EXIT_INCOMPLETE } from '../errors.ts';
import { checkLines, columns, fields, plain, when } from '../output.ts';
import {
  explainFailures,
  RotationProgress,
  summarize,
  tellProgress,
} from '../rotation-progress.ts';
import { type RotationView, rotationView, type SourceView, sourceView } from '../views.ts';

/** An order at a CA takes minutes where DNS is slow, and the switch comes after it. */
const RUN_TIMEOUT_MS = 900_000;

async function list({ registry, palette }: CommandContext): Promise<CommandResult> {
  const client = await registry();
  const response = await client.unary(CertRegistryServiceService.listSources, {});
  const sources = response.sources.map(sourceView);
  if (sources.length === 0) {
    const text =
      'No source of certificates is switched on: set CONCERT_FOLDER_PATH or CONCERT_ACME_DIRECTORY.';
    return { json: { sources }, text };
  }
  const table = columns(
    ['NAME', 'STATE', 'POLICY', 'CERTIFICATE', 'LAST SUCCESS', 'NEXT', 'LOCATION'],
    sources.map((source) => [
      source.name,
      source.state,
      source.policy,
      source.certificateId,
      when(source.lastSuccessAt),
      when(source.nextActionAt),
      source.location,
    ]),
    (line, row) => (sources[row]?.state === 'failed' ? palette.bad(line) : line),
  );
  const details = fields(sources.map(({ name, detail }) => [name, detail]));
  const checks = sources.map((source) => checkLines(source.checks, palette));
  const parts = [table, '', details, ...checks.filter((lines) => lines !== '')];
  return { json: { sources }, text: parts.join('\n') };
}

/** Has a source act now, telling of each change unless JSON is wanted. Throws CliError. */
export async function runSource(
  name: string,
  force: boolean,
  context: CommandContext,
): Promise<CommandResult> {
  const client = await context.registry();
  const stream = client.stream(
    CertRegistryServiceService.runSource,
    { name, force },
    { timeoutMs: RUN_TIMEOUT_MS },
  );
  const progress = new RotationProgress();
  context.terminal.sayIfInterrupted(
    `what ${plain(name)} does goes on without this command: \`concert source list\` shows how it ends`,
  );
  let source: SourceView | undefined;
  let rotation: RotationView | undefined;
  for await (const response of stream) {
    if (response.source !== undefined) {
      const before = source?.detail;
      source = sourceView(response.source);
      if (!context.json && source.state === 'working' && source.detail !== before) {
        context.terminal.out(`${plain(source.name)} ${plain(source.detail)}\n`);
      }
    }
    if (response.rotation !== undefined) {
      rotation = rotationView(response.rotation);
      if (!context.json) tellProgress(progress.advance(rotation), context);
    }
  }
  if (source === undefined) throw new Error('the registry told nothing of the source');
  return report(source, rotation, context);
}

function report(
  source: SourceView,
  rotation: RotationView | undefined,
  { palette }: CommandContext,
): CommandResult {
  const incomplete = rotation?.state === 'incomplete';
  const lines = [
    ...(rotation === undefined
      ? []
      : [
          (incomplete ? palette.warn : palette.good)(summarize(rotation)),
          explainFailures(rotation),
        ]),
    `${plain(source.name)} ${source.state}: ${plain(source.detail)}.`,
  ];
  return {
    json: { source, rotation: rotation ?? null },
    text: lines.filter((line) => line !== '').join('\n'),
    exitCode: incomplete ? EXIT_INCOMPLETE : 0,
  };
}

export function addSourceCommands(program: Command, run: Run): void {
  const source = program
    .command('source')
    .description('see and set off what brings certificates by itself');
  source
    .command('list')
    .description('show where certificates come from, what has come, and what it waits for')
    .addHelpText('after', examples('concert source list', 'concert source list --json'))
    .action(() => run(list));
  source
    .command('run')
    .description('have a source look or order now, and put in force what it brings by its policy')
    .argument('<name>', 'folder or acme')
    .option(
      '--force',
      'take what lies in the folder though it was taken or refused before; order though nothing is due',
    )
    .addHelpText(
      'after',
      '\nIt goes on even if this command is interrupted: see `concert source list`.\n',
    )
    .addHelpText('after', examples('concert source run folder', 'concert source run acme --force'))
    .action((name: string, options: { force?: boolean }) =>
      run((context) => runSource(name, options.force === true, context)),
    );
}
