/** `concert cert preview`: what a rotation would say, without acting. */
import { CertRegistryServiceService } from '@mail/proto';
import type { Command } from 'commander';
import { examples, type Run } from '../command.ts';
import { certificateTitle, checkLines, columns } from '../output.ts';
import { addRotationOptions, type RotationFlags, toRotationOptions } from '../rotation-options.ts';
import { certificateView, checkView, outcomeView } from '../views.ts';

export function addCertPreviewCommand(cert: Command, run: Run): void {
  addRotationOptions(
    cert
      .command('preview')
      .description('say what `rotate` would do and what stands in its way; exit code 1 if anything')
      .argument('<id>', 'the certificate'),
  )
    .addHelpText('after', examples('concert cert preview 3f2a9c'))
    .action((id: string, flags: RotationFlags) =>
      run(async ({ registry, palette }) => {
        const options = toRotationOptions(flags);
        const client = await registry();
        const response = await client.unary(CertRegistryServiceService.previewRotation, {
          certificateId: id,
          options,
        });
        const certificate =
          response.certificate === undefined ? null : certificateView(response.certificate);
        const checks = response.checks.map(checkView);
        const participants = response.participants.map(outcomeView);
        const title =
          certificate === null ? id : `${certificate.id} (${certificateTitle(certificate)})`;
        const parts = [
          response.allowed
            ? palette.good(`A rotation to ${title} would go ahead.`)
            : palette.bad(`A rotation to ${title} would be refused.`),
          checkLines(checks, palette),
          response.namesGained.length === 0
            ? ''
            : `Names gained: ${response.namesGained.join(', ')}`,
          response.namesLost.length === 0 ? '' : `Names lost: ${response.namesLost.join(', ')}`,
          participants.length === 0
            ? 'No subscriber is connected.'
            : columns(
                ['SERVICE', 'INSTANCE', 'REQUIRED'],
                participants.map((who) => [who.service, who.instance, who.required ? 'yes' : 'no']),
              ),
        ];
        return {
          json: {
            certificate,
            allowed: response.allowed,
            checks,
            namesGained: response.namesGained,
            namesLost: response.namesLost,
            participants,
          },
          text: parts.filter((part) => part !== '').join('\n'),
          exitCode: response.allowed ? 0 : 1,
        };
      }),
    );
}
