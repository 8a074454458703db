/** `concert cert import`: hands a certificate, its chain and its key to the registry. */
import { CertRegistryServiceService, type ImportCertificateResponse } from '@mail/proto';
import type { Command } from 'commander';
import { readCertificateFiles, readPassphraseFile } from '../certificate-files.ts';
import { type CommandContext, examples, type Run } from '../command.ts';
import { CliError } from '../errors.ts';
import { certificateTitle, checkLines, validity } from '../output.ts';
import { certificateView, checkView } from '../views.ts';

interface ImportOptions {
  readonly passphraseFile?: string;
  readonly passphraseStdin?: boolean;
  readonly label?: string;
}

async function readPassphrase(options: ImportOptions, context: CommandContext): Promise<string> {
  if (options.passphraseFile !== undefined) return readPassphraseFile(options.passphraseFile);
  return options.passphraseStdin === true ? context.terminal.readSecretLine() : '';
}

/** Sends the blobs; asks a person for the passphrase where one turns out to be needed. */
async function send(
  blobs: Buffer[],
  passphrase: string,
  label: string,
  context: CommandContext,
): Promise<ImportCertificateResponse> {
  const registry = await context.registry();
  const method = CertRegistryServiceService.importCertificate;
  try {
    return await registry.unary(method, { blobs, passphrase, label });
  } catch (error) {
    const locked =
      error instanceof CliError && error.checks?.some((check) => check.code === 'wrong-passphrase');
    if (!locked || passphrase !== '' || !context.terminal.interactive) throw error;
    const asked = await context.terminal.askHidden('Passphrase of the key: ');
    return await registry.unary(method, { blobs, passphrase: asked, label });
  }
}

/** A certificate that the registry has just taken, with its id as the last words. */
export function describeTaken(
  done: string,
  response: Pick<ImportCertificateResponse, 'certificate' | 'checks'>,
  context: CommandContext,
): { json: object; text: string } {
  if (response.certificate === undefined) throw new Error('the registry answered no certificate');
  const certificate = certificateView(response.certificate);
  const checks = response.checks.map(checkView);
  const left = validity(certificate.notAfter, context.terminal.now());
  const parts = [
    `${done} ${context.palette.bold(certificate.id)}: ${certificateTitle(certificate)}, ${certificate.keyType}, ${left}.`,
    checkLines(checks, context.palette),
    `Put it in force with: concert cert rotate ${certificate.id}`,
  ];
  return {
    json: { ...certificate, checks },
    text: parts.filter((part) => part !== '').join('\n'),
  };
}

export function addCertImportCommand(cert: Command, run: Run): void {
  cert
    .command('import')
    .description('give the registry a certificate with its chain and key; switches nothing')
    .argument('<file...>', 'PEM files in any order, or one PKCS#12')
    .option('--passphrase-file <file>', 'the passphrase is the first line of this file')
    .option('--passphrase-stdin', 'the passphrase is the first line of standard input')
    .option('--label <text>', 'what to call it')
    .addHelpText(
      'after',
      examples(
        'concert cert import fullchain.pem privkey.pem --label "October"',
        'concert cert import mail.p12 --passphrase-file mail.pass --json',
      ),
    )
    .action((files: string[], options: ImportOptions) =>
      run(async (context) => {
        if (options.passphraseFile !== undefined && options.passphraseStdin === true) {
          throw new CliError('usage', 'give one of --passphrase-file and --passphrase-stdin');
        }
        const blobs = await readCertificateFiles(files);
        const passphrase = await readPassphrase(options, context);
        const response = await send(blobs, passphrase, options.label ?? '', context);
        const done = response.alreadyPresent ? 'Already there as' : 'Imported as';
        const { json, text } = describeTaken(done, response, context);
        return { json: { ...json, alreadyPresent: response.alreadyPresent }, text };
      }),
    );
}
