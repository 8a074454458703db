/** What a command is given and what it gives back; program.ts does the rest. */
import type { Settings } from '@mail/service';
import type { Palette } from './output.ts';
import type { RegistryClient } from './registry-client.ts';
import type { Terminal } from './terminal.ts';

export interface CommandContext {
  readonly terminal: Terminal;
  readonly palette: Palette;
  /** The result is wanted as JSON: nothing else may go to standard output. */
  readonly json: boolean;
  readonly settings: Settings;
  /** Where this host keeps its data. */
  readonly dataFolder: string;
  /** Folder of the identity that the registry is called with. */
  readonly identityFolder: string;
  /** The registry's client, opened once and closed when the command ends. Throws CliError. */
  registry(): Promise<RegistryClient>;
}

export interface CommandResult {
  /** Printed with --json: one object; undefined where the command has printed its own. */
  readonly json: object | undefined;
  /** Printed otherwise; "" for nothing. */
  readonly text: string;
  /** Where it is not 0. */
  readonly exitCode?: number;
}

/** Runs the work of a command; the action of each. */
export type Run = (work: (context: CommandContext) => Promise<CommandResult>) => Promise<void>;

/** The paragraph of examples that each --help ends with. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`;
}
