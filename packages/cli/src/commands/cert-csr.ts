/** `concert cert csr` and `concert cert complete`: a certificate whose key never leaves the registry. */
import { CertRegistryServiceService } from '@mail/proto';
import type { Command } from 'commander';
import { readCertificateFiles } from '../certificate-files.ts';
import { type CommandContext, type CommandResult, examples, type Run } from '../command.ts';
import { keyTypeOption, toKeyType } from '../key-type.ts';
import { certificateView } from '../views.ts';
import { describeTaken } from './cert-import.ts';

interface CsrOptions {
  readonly keyType: string;
  readonly label?: string;
}

async function complete(
  certificateId: string,
  files: readonly string[],
  context: CommandContext,
): Promise<CommandResult> {
  const blobs = await readCertificateFiles(files);
  const registry = await context.registry();
  const response = await registry.unary(CertRegistryServiceService.completeSigningRequest, {
    certificateId,
    blobs,
  });
  return describeTaken('Completed', response, context);
}

async function request(
  dnsNames: string[],
  options: CsrOptions,
  context: CommandContext,
): Promise<CommandResult> {
  const registry = await context.registry();
  const response = await registry.unary(CertRegistryServiceService.createSigningRequest, {
    dnsNames,
    keyType: toKeyType(options.keyType),
    label: options.label ?? '',
  });
  if (response.certificate === undefined) throw new Error('no certificate in the answer');
  const certificate = certificateView(response.certificate);
  // the request alone goes to standard output, so that it can be redirected to a file
  if (!context.json) {
    context.terminal.err(
      `The key stays in the registry as ${certificate.id}. Have this request signed, then:\n` +
        `  concert cert complete ${certificate.id} FILE...\n`,
    );
  }
  return {
    json: { ...certificate, signingRequestPem: response.signingRequestPem },
    text: response.signingRequestPem.trimEnd(),
  };
}

export function addCertCsrCommands(cert: Command, run: Run): void {
  cert
    .command('csr')
    .description('make a key in the registry and print the signing request for it')
    .argument('[name...]', 'DNS names; without any, the required names')
    .addOption(keyTypeOption())
    .option('--label <text>', 'what to call it')
    .addHelpText('after', examples('concert cert csr mail.example.com > request.pem'))
    .action((names: string[], options: CsrOptions) =>
      run((context) => request(names, options, context)),
    );
  cert
    .command('complete')
    .description("join a CA's answer to the key that `csr` made")
    .argument('<id>', 'the id that `csr` gave')
    .argument('<file...>', 'leaf and intermediates, PEM, in any order')
    .addHelpText('after', examples('concert cert complete 3f2a9c signed.pem intermediate.pem'))
    .action((id: string, files: string[]) => run((context) => complete(id, files, context)));
}
