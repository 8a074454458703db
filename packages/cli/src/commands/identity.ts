/** `concert identity`: issue one for another service or operator, renew the one that calls. */
import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IdentityServiceService } from '@mail/proto';
import {
  describeExpiry,
  IDENTITY_RULE,
  type IdentityName,
  type IdentityParts,
  parseIdentityName,
  readIdentity,
  withIdentityLock,
  writeIdentity,
} from '@mail/service';
import { createSigningRequest, generateKey } from '@mail/x509';
import type { Command } from 'commander';
import { type CommandContext, examples, type Run } from '../command.ts';
import { CliError } from '../errors.ts';
import { patchSecret } from '../kubernetes-secret.ts';

const FILES = ['cert.pem', 'key.pem', 'ca.pem'];

interface IssueOptions {
  readonly out: string;
  readonly replace?: boolean;
}

/** Throws CliError (usage) where the folder holds what may still be of use. */
async function refuseTaken(folder: string, { uri }: IdentityName): Promise<void> {
  const held = await readIdentity(folder).catch(() => undefined);
  const expired = held !== undefined && describeExpiry(held, folder, new Date()) !== undefined;
  if (expired && held.uri === uri) return;
  const isThere = await Promise.all(
    FILES.map((name) =>
      access(join(folder, name)).then(
        () => true,
        () => false,
      ),
    ),
  );
  const taken = FILES.filter((_, index) => isThere[index]);
  if (taken.length === 0) return;
  const what = held === undefined ? 'files of an identity' : `the identity ${held.uri}`;
  throw new CliError('usage', `${folder} holds ${what} already (${taken.join(', ')})`, {
    remedy: 'Name an empty folder, or replace it with --replace; nothing was changed.',
  });
}

async function issue(
  identity: string,
  folder: string,
  { registry }: CommandContext,
): Promise<void> {
  const privateKey = await generateKey('ecdsa-p256');
  const client = await registry();
  const { chainPem, caPem } = await client.unary(IdentityServiceService.issueIdentity, {
    identity,
    signingRequestPem: createSigningRequest({ privateKey, names: [] }),
  });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await writeIdentity(folder, { chainPem, keyPem, caPem });
}

/** A fresh key, signed under the name of the identity that the command calls with. */
async function renew({ registry }: CommandContext): Promise<IdentityParts> {
  const privateKey = await generateKey('ecdsa-p256');
  const client = await registry();
  const { chainPem, caPem } = await client.unary(IdentityServiceService.renewIdentity, {
    signingRequestPem: createSigningRequest({ privateKey, names: [] }),
  });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { chainPem, keyPem, caPem };
}

/** Does the work alone, under the lock of the folder. Throws CliError. */
async function lockFolder(folder: string, work: () => Promise<void>): Promise<void> {
  const alone = await withIdentityLock(folder, work).catch((error) => {
    throw explainFolder(error, folder);
  });
  if (alone) return;
  throw new CliError('refused', `another process is renewing the identity in ${folder}`, {
    remedy: 'Try again in a minute.',
  });
}

/** What the file system says, as CliError (usage). */
function explainFolder(error: unknown, folder: string): unknown {
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) return error;
  return new CliError('usage', `cannot write the identity in ${folder}: ${String(error.code)}`, {
    cause: error,
  });
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
    .option('--replace', 'replace what the folder holds; an expired identity is replaced anyway')
    .addHelpText(
      'after',
      examples(
        'concert identity issue operator/alice --out ~/.concert/alice',
        'concert identity issue service/imap --out /etc/concert/imap --replace',
      ),
    )
    .action((text: string, options: IssueOptions) =>
      run(async (context) => {
        const name = parseIdentityName(text);
        if (name === undefined) {
          throw new CliError('usage', `"${text}" is no identity; ${IDENTITY_RULE}`);
        }
        const folder = resolve(options.out);
        await lockFolder(folder, async () => {
          if (options.replace !== true) await refuseTaken(folder, name);
          await issue(text, folder, context);
        });
        return {
          json: { identity: name.uri, folder },
          text: `${name.uri} is in ${folder}. Use it with --identity or CONCERT_IDENTITY.`,
        };
      }),
    );
  identity
    .command('renew')
    .description('renew the identity that the registry is called with, under a fresh key')
    .option('--secret <name>', 'write it to this Secret of the cluster that the command runs in')
    .addHelpText(
      'after',
      examples(
        'concert identity renew --identity ~/.concert/alice',
        'concert identity renew --identity /identity --secret concert-identity-imap',
      ),
    )
    .action(({ secret }: { readonly secret?: string }) =>
      run(async (context) => {
        const folder = context.identityFolder;
        if (secret === undefined) {
          await lockFolder(folder, async () => writeIdentity(folder, await renew(context)));
        } else {
          const { chainPem, keyPem, caPem } = await renew(context);
          await patchSecret(secret, { 'cert.pem': chainPem, 'key.pem': keyPem, 'ca.pem': caPem });
        }
        const place = secret === undefined ? folder : `the Secret ${secret}`;
        return { json: { place }, text: `A renewed identity is in ${place}.` };
      }),
    );
}
