/** `concert names`: the host names that every active certificate must cover. */
import { CertificateState, CertRegistryServiceService } from '@mail/proto';
import { nameCovered } from '@mail/x509';
import type { Command } from 'commander';
import { type CommandContext, type CommandResult, examples, type Run } from '../command.ts';
import { plain } from '../output.ts';
import type { RegistryClient } from '../registry-client.ts';

/** Of what is in force, and of what sources hold or order: each that does not cover all the names. */
async function warningsFor(names: readonly string[], client: RegistryClient): Promise<string[]> {
  const { certificates } = await client.unary(CertRegistryServiceService.listCertificates, {});
  const { sources } = await client.unary(CertRegistryServiceService.listSources, {});
  const active = certificates.find(
    ({ state }) => state === CertificateState.CERTIFICATE_STATE_ACTIVE,
  );
  const warnings: string[] = [];
  const compare = (covers: readonly string[], what: string, then: string): void => {
    const missing = names.filter((name) => !nameCovered(name, covers));
    if (missing.length > 0) warnings.push(`${what} does not cover ${missing.join(', ')}: ${then}`);
  };
  if (active !== undefined) {
    compare(active.dnsNames, 'the active certificate', 'the next one has to');
  }
  for (const { name, certificateId, acme } of sources) {
    const held = certificates.find(({ id }) => id === certificateId);
    if (acme !== undefined) {
      compare(acme.dnsNames, 'what acme orders', 'CONCERT_ACME_NAMES says which names');
    } else if (held !== undefined && held !== active) {
      compare(held.dnsNames, `${held.id}, which ${name} holds,`, 'it will be refused');
    }
  }
  return warnings;
}

async function set(
  wanted: string[],
  force: boolean,
  { registry, palette }: CommandContext,
): Promise<CommandResult> {
  const client = await registry();
  const { names } = await client.unary(CertRegistryServiceService.setRequiredNames, {
    names: wanted,
    force,
  });
  // they are set, whatever becomes of the look at what covers them
  const warnings = await warningsFor(names, client).catch((error: Error) => [
    `what covers them could not be looked up: ${error.message}`,
  ]);
  const done =
    names.length === 0 ? 'No name is required any more.' : `Required: ${names.join(', ')}`;
  const lines = warnings.map((warning) => palette.warn(`Warning: ${plain(warning)}`));
  return { json: { names, warnings }, text: [done, ...lines].join('\n') };
}

export function addNamesCommands(program: Command, run: Run): void {
  const names = program
    .command('names')
    .description(
      'the host names that users have in their mail programs: every certificate in force must cover them',
    );
  names
    .command('list', { isDefault: true })
    .description('list them')
    .addHelpText('after', examples('concert names'))
    .action(() =>
      run(async ({ registry }) => {
        const client = await registry();
        const response = await client.unary(CertRegistryServiceService.getRequiredNames, {});
        const text =
          response.names.length === 0 ? 'No name is required.' : response.names.join('\n');
        return { json: { names: response.names }, text };
      }),
    );
  names
    .command('set')
    .description('replace them; refused where the active certificate does not cover one')
    .argument('[name...]', 'all of them; none at all takes the requirement away')
    .option('--force', 'even where the active certificate does not cover one')
    .addHelpText('after', examples('concert names set mail.example.com imap.example.com'))
    .action((wanted: string[], options: { force?: boolean }) =>
      run((context) => set(wanted, options.force ?? false, context)),
    );
}
