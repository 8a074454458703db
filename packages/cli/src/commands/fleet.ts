/** `concert fleet`: who serves what, since when, and who lags. */
import { CertRegistryServiceService, type Fleet } from '@mail/proto';
import type { Command } from 'commander';
import { type CommandContext, type CommandResult, examples, type Run } from '../command.ts';
import { certificateTitle, columns, milliseconds, plain, span, validity } from '../output.ts';
import { type FleetView, fleetView, type SubscriberView } from '../views.ts';

const CLEAR_SCREEN = '\x1b[2J\x1b[H';

function standing(subscriber: SubscriberView): string {
  if (subscriber.state === 'lost') return 'lost';
  return subscriber.lagging ? 'lagging' : 'serving';
}

function since(iso: string | null, now: Date): string {
  return iso === null ? '' : span(now.getTime() - new Date(iso).getTime());
}

/** What each port last showed; only what is wrong, since a fleet has many ports. */
function portFaults(subscriber: SubscriberView): string[] {
  return subscriber.ports
    .filter((port) => port.error !== '')
    .map((port) => `${subscriber.service} ${subscriber.instance}, ${port.listener}: ${port.error}`);
}

function describe(fleet: FleetView, { terminal, palette }: CommandContext): string {
  const now = terminal.now();
  const certificate = fleet.activeCertificate;
  const title =
    certificate === null
      ? 'no certificate is in force'
      : `certificate ${certificate.id} (${plain(certificateTitle(certificate))}), ${validity(certificate.notAfter, now)}`;
  const table = columns(
    ['SERVICE', 'INSTANCE', 'STATE', 'GENERATION', 'FOR', 'LEASE', 'ROUND TRIP', 'VERSION'],
    fleet.subscribers.map((subscriber) => [
      subscriber.service,
      subscriber.instance,
      standing(subscriber),
      String(subscriber.generation),
      since(subscriber.activeSince, now),
      `${Math.ceil(subscriber.leaseRemainingMs / 1000)} s`,
      subscriber.roundTripMs > 0 ? milliseconds(subscriber.roundTripMs) : '',
      subscriber.version,
    ]),
    (line, row) => {
      const subscriber = fleet.subscribers[row];
      if (subscriber === undefined || standing(subscriber) === 'serving') return line;
      return palette.bad(line);
    },
  );
  const warnings = [...fleet.warnings, ...fleet.subscribers.flatMap(portFaults)];
  return [
    palette.bold(`Generation ${fleet.generation}, ${title}`),
    fleet.subscribers.length === 0 ? 'No subscriber is connected.' : table,
    ...(fleet.rotation === null
      ? []
      : [`A switch to ${fleet.rotation.toCertificateId} is under way: ${fleet.rotation.state}.`]),
    ...warnings.map((warning) => palette.warn(`Warning: ${plain(warning)}`)),
  ].join('\n');
}

function requireFleet(fleet: Fleet | undefined): FleetView {
  if (fleet === undefined) throw new Error('no fleet in the answer');
  return fleetView(fleet);
}

/** Prints the fleet after each change until the registry ends the stream. */
async function watch(context: CommandContext): Promise<CommandResult> {
  const { terminal, json } = context;
  const client = await context.registry();
  for await (const response of client.stream(CertRegistryServiceService.watchFleet, {})) {
    const fleet = requireFleet(response.fleet);
    const lead = terminal.outputIsTerminal ? CLEAR_SCREEN : '';
    terminal.out(json ? `${JSON.stringify(fleet)}\n` : `${lead}${describe(fleet, context)}\n\n`);
  }
  return { json: undefined, text: '' };
}

export function addFleetCommand(program: Command, run: Run): void {
  program
    .command('fleet')
    .description('show who serves which certificate, since when, and who lags')
    .option('--watch', 'print it again after each change (with --json, an object a line)')
    .addHelpText('after', examples('concert fleet', 'concert fleet --watch'))
    .action((options: { watch?: boolean }) =>
      run(async (context) => {
        if (options.watch === true) return watch(context);
        const client = await context.registry();
        const response = await client.unary(CertRegistryServiceService.getFleet, {});
        const fleet = requireFleet(response.fleet);
        return { json: fleet, text: describe(fleet, context) };
      }),
    );
}
