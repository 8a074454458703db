/** Every command, in the order that --help lists them. */
import type { Command } from 'commander';
import type { Run } from '../command.ts';
import { addAccountCommands } from './account.ts';
import { addAcmeCommands } from './acme.ts';
import { addAuditCommand } from './audit.ts';
import { addCertCsrCommands } from './cert-csr.ts';
import { addCertDeleteCommand } from './cert-delete.ts';
import { addCertImportCommand } from './cert-import.ts';
import { addCertListCommand } from './cert-list.ts';
import { addCertPreviewCommand } from './cert-preview.ts';
import { addCertRotateCommands } from './cert-rotate.ts';
import { addCertSelfSignedCommand } from './cert-self-signed.ts';
import { addCertShowCommand } from './cert-show.ts';
import { addDaneCommand } from './dane.ts';
import { addExportCommand } from './export.ts';
import { addFleetCommand } from './fleet.ts';
import { addIdentityCommands } from './identity.ts';
import { addImportCommand } from './import.ts';
import { addNamesCommands } from './names.ts';
import { addRotationsCommand } from './rotations.ts';
import { addSourceCommands } from './source.ts';
import { addStoreCommands } from './store.ts';

export function addCommands(program: Command, run: Run): void {
  const cert = program.command('cert').description('import, inspect and rotate certificates');
  addCertImportCommand(cert, run);
  addCertListCommand(cert, run);
  addCertShowCommand(cert, run);
  addCertDeleteCommand(cert, run);
  addCertCsrCommands(cert, run);
  addCertSelfSignedCommand(cert, run);
  addCertPreviewCommand(cert, run);
  addCertRotateCommands(cert, run);
  addSourceCommands(program, run);
  addAcmeCommands(program, run);
  addDaneCommand(program, run);
  addFleetCommand(program, run);
  addRotationsCommand(program, run);
  addNamesCommands(program, run);
  addAuditCommand(program, run);
  addIdentityCommands(program, run);
  addAccountCommands(program, run);
  addStoreCommands(program, run);
  addExportCommand(program, run);
  addImportCommand(program, run);
}
