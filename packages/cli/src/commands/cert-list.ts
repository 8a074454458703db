/** `concert cert list`: every certificate that the registry holds. */
import { CertRegistryServiceService } from '@mail/proto';
import type { Command } from 'commander';
import { examples, type Run } from '../command.ts';
import { certificateTitle, columns, validity } from '../output.ts';
import { certificateView } from '../views.ts';

export function addCertListCommand(cert: Command, run: Run): void {
  cert
    .command('list')
    .description('list the certificates that the registry holds, newest first')
    .addHelpText('after', examples('concert cert list', 'concert cert list --json'))
    .action(() =>
      run(async ({ registry, terminal, palette }) => {
        const client = await registry();
        const response = await client.unary(CertRegistryServiceService.listCertificates, {});
        const certificates = response.certificates.map(certificateView);
        const rows = certificates.map((certificate) => [
          certificate.id,
          certificate.state,
          certificateTitle(certificate),
          certificate.keyType,
          validity(certificate.notAfter, terminal.now()),
          certificate.label,
        ]);
        const text = columns(
          ['ID', 'STATE', 'NAMES', 'KEY', 'VALIDITY', 'LABEL'],
          rows,
          (line, row) => (certificates[row]?.state === 'active' ? palette.good(line) : line),
        );
        return { json: { certificates }, text };
      }),
    );
}
