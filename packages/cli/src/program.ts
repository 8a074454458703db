/** The command line as a whole: global options, dispatch, results and errors to their streams. */
import { join } from 'node:path';
import { commonSettings, parseSettings, ServiceError, type Settings, VERSION } from '@mail/service';
import { Command, CommanderError } from 'commander';
import type { CommandContext, CommandResult } from './command.ts';
import { addCommands } from './commands/index.ts';
import { CliError, errorView } from './errors.ts';
import { checkLines, createPalette, type Palette, plain, plainLines } from './output.ts';
import { openRegistry, type RegistryClient } from './registry-client.ts';
import { explainFailures } from './rotation-progress.ts';
import type { Terminal } from './terminal.ts';

const EXIT_CODES = `
Exit codes:
  0   done
  1   refused by a check or by a subscriber: nothing was changed; faults in the mail store, or messages
      that could not be exported or imported
  2   bad arguments, or a file that can't be read
  3   no such certificate or account
  4   not permitted, or no identity to call with
  5   the switch was made, and not every subscriber has proved that it serves it
  6   cut off after the switch had begun: \`concert rotations\` shows how it ended
  69  the registry or the mail store can't be reached, or did not answer in time
  70  a fault in Concert
  130, 143  ended by SIGINT (Ctrl-C), by SIGTERM; a switch that had begun goes on

Settings: CONCERT_REGISTRY, CONCERT_IDENTITY, CONCERT_DATA, and NO_COLOR.
`;

interface GlobalOptions {
  readonly json?: boolean;
  readonly registry?: string;
  readonly identity?: string;
  readonly data?: string;
}

function toError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof ServiceError) {
    const code = error.code === 'bad-setting' ? 'usage' : 'store-unavailable';
    return new CliError(code, error.message, { cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new CliError('bug', `unexpected: ${message}`, { cause: error });
}

/** An error for people: what happened, the checks or subscribers behind it, what to do. */
function describeError(error: CliError, palette: Palette): string {
  const parts = [`${palette.bad('concert:')} ${plainLines(error.message)}`];
  if (error.checks !== undefined) parts.push(checkLines(error.checks, palette));
  if (error.rotation !== undefined) parts.push(explainFailures(error.rotation));
  if (error.remedy !== undefined) parts.push(`  ${plain(error.remedy)}`);
  return `${parts.filter((part) => part !== '').join('\n')}\n`;
}

function createProgram(terminal: Terminal, json: boolean): Command {
  return new Command('concert')
    .description('Certificates, fleet and accounts of a Concert mail system.')
    .version(VERSION, '--version', 'print the version of Concert')
    .option('--json', 'print one JSON object, errors too')
    .option('--registry <host:port>', 'the registry (default: 127.0.0.1:7443)')
    .option('--identity <dir>', 'folder with cert.pem, key.pem and ca.pem of an operator')
    .option('--data <dir>', "this host's data folder (default: ./data)")
    .addHelpText('after', EXIT_CODES)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      // with --json the error goes to standard output, as an object
      writeErr: (text) => (json ? undefined : terminal.err(text)),
      outputError: (text, write) => write(text.replace(/^error: /, 'concert: ')),
    })
    .showHelpAfterError('(see --help)')
    .exitOverride();
}

/**
 * Runs one command line (without node and script) to its end and returns the exit code. Never throws:
 * what fails is printed. `defaultDataFolder` counts where neither --data nor CONCERT_DATA is given.
 */
export async function runCommandLine(
  args: readonly string[],
  terminal: Terminal,
  readSettings: () => Settings,
  defaultDataFolder: string,
): Promise<number> {
  const json = args.includes('--json');
  const palette = createPalette(terminal.colour);
  const program = createProgram(terminal, json);
  let exitCode = 0;
  let registry: Promise<RegistryClient> | undefined;

  const run = async (work: (context: CommandContext) => Promise<CommandResult>): Promise<void> => {
    const options = program.opts<GlobalOptions>();
    const settings = readSettings();
    const common = parseSettings(commonSettings, {
      CONCERT_DATA: defaultDataFolder,
      ...settings,
      ...(options.data === undefined ? {} : { CONCERT_DATA: options.data }),
      ...(options.registry === undefined ? {} : { CONCERT_REGISTRY: options.registry }),
      ...(options.identity === undefined ? {} : { CONCERT_IDENTITY: options.identity }),
    });
    const identityFolder =
      common.CONCERT_IDENTITY ?? join(common.CONCERT_DATA, 'identities/operator/admin');
    const result = await work({
      terminal,
      palette,
      json,
      settings: { ...settings, CONCERT_DATA: common.CONCERT_DATA },
      dataFolder: common.CONCERT_DATA,
      identityFolder,
      registry() {
        registry ??= openRegistry(common.CONCERT_REGISTRY, identityFolder);
        return registry;
      },
    });
    if (json) {
      if (result.json !== undefined) terminal.out(`${JSON.stringify(result.json)}\n`);
    } else if (result.text !== '') terminal.out(`${result.text}\n`);
    exitCode = result.exitCode ?? 0;
  };

  addCommands(program, run);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // help that was asked for is no error
      if (error.exitCode === 0) return 0;
      const message = error.message.replace(/^error: /, '');
      const usage = new CliError('usage', message === '(outputHelp)' ? 'name a command' : message);
      if (json) terminal.out(`${JSON.stringify(errorView(usage))}\n`);
      return usage.exitCode;
    }
    const failure = toError(error);
    if (json) terminal.out(`${JSON.stringify(errorView(failure))}\n`);
    else terminal.err(describeError(failure, palette));
    exitCode = failure.exitCode;
  } finally {
    (await registry?.catch(() => undefined))?.close();
  }
  return exitCode;
}
