/** `concert cert show`: one certificate, whole apart from its key. */
import { CertRegistryServiceService } from '@mail/proto';
import type { Command } from 'commander';
import { examples, type Run } from '../command.ts';
import { checkLines, fields, validity, when } from '../output.ts';
import { certificateView, checkView } from '../views.ts';

export function addCertShowCommand(cert: Command, run: Run): void {
  cert
    .command('show')
    .description('show a certificate and what the checks say about it today')
    .argument('<id>', 'its id, or the beginning of it')
    .addHelpText(
      'after',
      examples('concert cert show 3f2a', 'concert cert show 3f2a --json | jq -r .chainPem'),
    )
    .action((id: string) =>
      run(async ({ registry, terminal, palette }) => {
        const client = await registry();
        const response = await client.unary(CertRegistryServiceService.getCertificate, {
          certificateId: id,
        });
        if (response.certificate === undefined) throw new Error('no certificate in the answer');
        const certificate = certificateView(response.certificate);
        const checks = response.checks.map(checkView);
        const left = validity(certificate.notAfter, terminal.now());
        const text = fields([
          ['id', certificate.id],
          ['label', certificate.label],
          ['state', certificate.state],
          ['names', certificate.dnsNames.join(', ')],
          ['subject', certificate.subject],
          [
            'issuer',
            certificate.selfSigned ? `${certificate.issuer} (itself)` : certificate.issuer,
          ],
          ['serial', certificate.serialNumber],
          ['valid', `${when(certificate.notBefore)} to ${when(certificate.notAfter)} (${left})`],
          ['key', certificate.keyType],
          ['signature', certificate.signatureAlgorithm],
          ['SHA-256', certificate.fingerprintSha256],
          ['TLSA 3 1 1', certificate.spkiSha256],
          ['made', `${when(certificate.createdAt)} by ${certificate.createdBy}`],
        ]);
        const remarks = checkLines(checks, palette);
        return {
          json: { ...certificate, checks },
          text: remarks === '' ? text : `${text}\n${remarks}`,
        };
      }),
    );
}
