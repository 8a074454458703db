/** `concert cert delete`: makes the registry forget a certificate and its key. */
import { CertRegistryServiceService } from '@mail/proto';
import type { Command } from 'commander';
import { examples, type Run } from '../command.ts';

export function addCertDeleteCommand(cert: Command, run: Run): void {
  cert
    .command('delete')
    .description('forget a certificate and its key; the active one is refused')
    .argument('<id>', 'its id')
    .addHelpText('after', examples('concert cert delete 3f2a9c'))
    .action((id: string) =>
      run(async ({ registry }) => {
        const client = await registry();
        await client.unary(CertRegistryServiceService.deleteCertificate, { certificateId: id });
        return { json: { id, deleted: true }, text: `Deleted ${id} and its key.` };
      }),
    );
}
