/** `concert cert self-signed`: a certificate for tests and first steps. */
import { CertRegistryServiceService } from '@mail/proto';
import type { Command } from 'commander';
import { examples, type Run } from '../command.ts';
import { keyTypeOption, toKeyType } from '../key-type.ts';
import { parseWholeNumber } from '../numbers.ts';
import { describeTaken } from './cert-import.ts';

interface SelfSignedOptions {
  readonly days: number;
  readonly keyType: string;
  readonly label?: string;
}

export function addCertSelfSignedCommand(cert: Command, run: Run): void {
  cert
    .command('self-signed')
    .description('make a certificate that is signed by its own key')
    .argument('<name...>', 'DNS names that it covers')
    .option('--days <n>', 'how long it is valid, 1 to 825', parseWholeNumber(1, 825), 90)
    .addOption(keyTypeOption())
    .option('--label <text>', 'what to call it')
    .addHelpText('after', examples('concert cert self-signed localhost --days 30'))
    .action((dnsNames: string[], options: SelfSignedOptions) =>
      run(async (context) => {
        const client = await context.registry();
        const response = await client.unary(CertRegistryServiceService.createSelfSigned, {
          dnsNames,
          keyType: toKeyType(options.keyType),
          days: options.days,
          label: options.label ?? '',
        });
        return describeTaken('Made', response, context);
      }),
    );
}
