/** `concert acme status` and `concert acme renew`: certificates that an ACME CA gives by itself. */
import { CertRegistryServiceService } from '@mail/proto';
import type { Command } from 'commander';
import { type CommandContext, type CommandResult, examples, type Run } from '../command.ts';
import { CliError } from '../errors.ts';
import { checkLines, fields, plain, validity, when } from '../output.ts';
import { type CertificateView, certificateView, type SourceView, sourceView } from '../views.ts';
import { runSource } from './source.ts';

async function status({ registry, palette, terminal }: CommandContext): Promise<CommandResult> {
  const client = await registry();
  const { sources } = await client.unary(CertRegistryServiceService.listSources, {});
  const found = sources.find(({ name }) => name === 'acme');
  if (found === undefined) {
    throw new CliError('not-found', 'certificates by ACME are not switched on', {
      remedy: 'Set CONCERT_ACME_DIRECTORY for the registry, and start it again.',
    });
  }
  const source = sourceView(found);
  const { certificates } = await client.unary(CertRegistryServiceService.listCertificates, {});
  const held = certificates.map(certificateView).find(({ id }) => id === source.certificateId);
  const standing = `acme ${source.state}: ${plain(source.detail)}.`;
  const facts = fields([
    ['directory', source.location],
    ['account', source.acme?.accountUrl || 'none yet'],
    ['names', source.acme?.dnsNames.join(', ') ?? ''],
    ['challenge', source.acme?.challenge ?? ''],
    ['policy', source.policy],
    ...certificate(held, terminal.now()),
    ['renews', renewal(source)],
    ['next key', source.acme?.nextSpkiSha256 ?? ''],
    ['last success', when(source.lastSuccessAt)],
    ...failure(source),
    ['next', when(source.nextActionAt)],
  ]);
  const text = [
    source.state === 'failed' ? palette.bad(standing) : standing,
    checkLines(source.checks, palette),
    facts,
  ];
  return {
    json: { source, certificate: held ?? null },
    text: text.filter((part) => part !== '').join('\n'),
  };
}

function certificate(held: CertificateView | undefined, now: Date): (readonly [string, string])[] {
  if (held === undefined) return [['certificate', 'none yet']];
  return [
    ['certificate', `${held.id} (${held.state})`],
    ['ends', `${when(held.notAfter)}, ${validity(held.notAfter, now)}`],
  ];
}

function renewal({ acme }: SourceView): string {
  if (acme == null || acme.renewAt === null) return '';
  return `${when(acme.renewAt)}, ${acme.renewAtFromCa ? 'as the CA suggests' : 'at two thirds of its life'}`;
}

function failure({ failures, lastFailureAt }: SourceView): (readonly [string, string])[] {
  if (failures === 0) return [];
  return [['last failure', `${when(lastFailureAt)}, ${failures} in a row`]];
}

export function addAcmeCommands(program: Command, run: Run): void {
  const acme = program.command('acme').description('see and set off certificates by ACME');
  acme
    .command('status')
    .description('show account, names, certificate, renewal, last failure and the next key')
    .addHelpText('after', examples('concert acme status', 'concert acme status --json'))
    .action(() => run(status));
  acme
    .command('renew')
    .description('order a certificate if one is due, and put it in force by the policy')
    .option('--force', 'order one though none is due')
    .addHelpText(
      'after',
      '\nIt goes on even if this command is interrupted: see `concert acme status`.\n',
    )
    .addHelpText('after', examples('concert acme renew', 'concert acme renew --force'))
    .action((options: { force?: boolean }) =>
      run((context) => runSource('acme', options.force === true, context)),
    );
}
