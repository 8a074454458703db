/** `concert store`: the mail store itself. */
import type { CheckOptions, CheckProgress, Fault } from '@mail/store';
import type { Command } from 'commander';
import { withStore } from '../account-store.ts';
import { type CommandContext, examples, type Run } from '../command.ts';
import { EXIT_FOUND } from '../errors.ts';
import { plain } from '../output.ts';
import { StatusLine } from '../status-line.ts';

/** Kept for --json; of a store with more, the rest is counted. */
const MAX_TOLD = 10_000;

type CheckFlags = Pick<CheckOptions, 'quick' | 'repair' | 'dropLost'>;

const OUTCOMES: Record<Fault['outcome'], string> = {
  mended: 'mended',
  mendable: 'can be mended with --repair',
  dropped: 'dropped',
  lost: 'lost',
  'not-mendable': 'cannot be mended here',
};

function describeFault({ code, where, what, outcome }: Fault): string {
  return `${code}: ${plain(where)}: ${plain(what)} (${OUTCOMES[outcome]})`;
}

function describeProgress({ step, done, of }: CheckProgress): string {
  return of > done ? `checking ${step}: ${done} of ${of}` : `checking ${step}: ${done}`;
}

async function check(context: CommandContext, options: CheckFlags) {
  const { terminal, json, palette } = context;
  const told: Fault[] = [];
  const status = new StatusLine(terminal);
  const report = await withStore(context, (store) =>
    store.check({
      ...options,
      onFault(fault) {
        if (told.length < MAX_TOLD) told.push(fault);
        if (json) return;
        status.clear();
        const good = fault.outcome === 'mended' || fault.outcome === 'dropped';
        terminal.out(`${(good ? palette.warn : palette.bad)(describeFault(fault))}\n`);
      },
      onProgress: (progress) => status.show(() => describeProgress(progress)),
    }),
  ).finally(() => status.clear());
  const { mailboxes, messages, contents, faults, remaining } = report;
  const looked = `${mailboxes} mailboxes, ${messages} messages, ${contents} contents checked`;
  const found =
    faults === 0
      ? palette.good('nothing is wrong')
      : `${faults} faults, ${remaining} of them remain`;
  return {
    json: { ...report, told },
    text: `${looked}: ${found}.`,
    exitCode: remaining === 0 ? 0 : EXIT_FOUND,
  };
}

export function addStoreCommands(program: Command, run: Run): void {
  const store = program.command('store').description('the mail store itself');
  store
    .command('check')
    .description('check the whole mail store; services may go on meanwhile')
    .option('--repair', 'mend what can be mended without losing anything')
    .option('--drop-lost', 'expunge messages whose octets are lost')
    .option('--quick', 'leave out whether indexes agree with their tables (SQLite)')
    .addHelpText(
      'after',
      `
It ends with 0 where nothing is wrong, or nothing any more, and with 1 where a fault remains.
${examples('concert store check', 'concert store check --repair --json')}`,
    )
    .action((options: CheckFlags) => run((context) => check(context, options)));
}
