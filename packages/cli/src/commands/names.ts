/** `concert names`: the host names that every active certificate must cover. */
import { CertRegistryServiceService } from '@mail/proto';
import type { Command } from 'commander';
import { examples, type Run } from '../command.ts';

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
      run(async ({ registry }) => {
        const client = await registry();
        const response = await client.unary(CertRegistryServiceService.setRequiredNames, {
          names: wanted,
          force: options.force ?? false,
        });
        const text =
          response.names.length === 0
            ? 'No name is required any more.'
            : `Required: ${response.names.join(', ')}`;
        return { json: { names: response.names }, text };
      }),
    );
}
