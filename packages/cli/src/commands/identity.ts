/** `concert identity issue`: an identity for another service or operator. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IdentityServiceService } from '@mail/proto';
import { createSigningRequest, generateKey } from '@mail/x509';
import type { Command } from 'commander';
import { examples, type Run } from '../command.ts';
import { CliError } from '../errors.ts';

const FILES = ['cert.pem', 'key.pem', 'ca.pem'];
const IDENTITY = /^(service|operator)\/[a-z0-9][a-z0-9._-]{0,62}$/;

/** Writes a file that must not be there yet, readable by its owner alone. */
async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unwritable';
    const why = code === 'EEXIST' ? 'it is there already' : code;
    throw new CliError('usage', `cannot write ${path}: ${why}`, { cause: error });
  }
}

/** Makes the folder, before anything is signed for it. Throws CliError (usage). */
async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new CliError('usage', `cannot make the folder ${folder}`, { cause: error });
  }
  const taken = FILES.filter((name) => existsSync(join(folder, name)));
  if (taken.length > 0) {
    throw new CliError('usage', `${folder} holds an identity already (${taken.join(', ')})`, {
      remedy: 'Name an empty folder; nothing was changed.',
    });
  }
}

export function addIdentityCommands(program: Command, run: Run): void {
  const identity = program
    .command('identity')
    .description('identities of services and operators, by which the registry knows them');
  identity
    .command('issue')
    .description('make a key here and have the registry sign an identity for it')
    .argument('<identity>', 'service/NAME or operator/NAME')
    .requiredOption('--out <dir>', 'folder for cert.pem, key.pem and ca.pem')
    .addHelpText(
      'after',
      examples(
        'concert identity issue operator/alice --out ~/.concert/alice',
        'concert identity issue service/imap --out /etc/concert/imap',
      ),
    )
    .action((name: string, options: { out: string }) =>
      run(async ({ registry }) => {
        if (!IDENTITY.test(name)) {
          throw new CliError('usage', `"${name}" is neither service/NAME nor operator/NAME`);
        }
        const folder = resolve(options.out);
        await prepareFolder(folder);
        const privateKey = await generateKey('ecdsa-p256');
        const client = await registry();
        const issued = await client.unary(IdentityServiceService.issueIdentity, {
          identity: name,
          signingRequestPem: createSigningRequest({ privateKey, names: [] }),
        });
        // the key first: a certificate without its key would look whole and be of no use
        const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
        await writeNew(join(folder, 'key.pem'), key);
        await writeNew(join(folder, 'cert.pem'), issued.chainPem);
        await writeNew(join(folder, 'ca.pem'), issued.caPem);
        return {
          json: { identity: `spiffe://concert/${name}`, folder },
          text: `spiffe://concert/${name} is in ${folder}. Use it with --identity or CONCERT_IDENTITY.`,
        };
      }),
    );
}
