/** The `concert` command. */
import { fileURLToPath } from 'node:url';
import { readSettings } from '@mail/service';
import { runCommandLine } from './program.ts';
import { openTerminal } from './terminal.ts';

// run from sources it is in a checkout, whose root holds the data
const fromSource = import.meta.url.endsWith('.ts');
const dataFolder = fromSource ? fileURLToPath(new URL('../../../data', import.meta.url)) : './data';

// whoever read our output has gone (`concert fleet --watch | head`): nothing is left to say
process.stdout.on('error', () => process.exit());

const terminal = openTerminal();
const exitCode = await runCommandLine(process.argv.slice(2), terminal, readSettings, dataFolder);
await terminal.flush();
// a channel to a registry that stands still stays open: it is closed in the protocol's words, and nobody answers
process.exit(exitCode);
