/** `concert cert rotate` and `concert cert rollback`: move the fleet, and show how it goes. */
import { CertRegistryServiceService, type Rotation } from '@mail/proto';
import type { Command } from 'commander';
import { type CommandContext, type CommandResult, examples, type Run } from '../command.ts';
import { CliError, type CliErrorCode, EXIT_INCOMPLETE } from '../errors.ts';
import { addRotationOptions, type RotationFlags, toRotationOptions } from '../rotation-options.ts';
import {
  explainFailures,
  RotationProgress,
  summarize,
  tellProgress,
} from '../rotation-progress.ts';
import { type RotationView, rotationView } from '../views.ts';

/** What the registry may take when --timeout does not say. */
const DEFAULT_PREPARE_MS = 10_000;
/** For commit, activation and verification, and for a slow network. */
const REST_OF_ROTATION_MS = 60_000;

/** What a call is cut off with; anything else is the registry's word on the rotation. */
const CUT_OFF: readonly CliErrorCode[] = ['registry-unreachable', 'timed-out', 'bug'];
/** What is said where a signal ends the command meanwhile. */
const GOES_ON =
  'a switch that has begun goes on without this command: `concert rotations` shows how it ends';
const ENDS: readonly string[] = ['verified', 'incomplete', 'aborted'];

/**
 * Reads the snapshots of a rotation to its end, telling of each change unless JSON is wanted. Throws
 * CliError; outcome-unknown once there was a snapshot and none of its end.
 */
async function follow(
  snapshots: AsyncIterable<{ rotation: Rotation | undefined }>,
  context: CommandContext,
  heading: string,
): Promise<RotationView> {
  const progress = new RotationProgress();
  let last: RotationView | undefined;
  context.terminal.sayIfInterrupted(GOES_ON);
  try {
    for await (const { rotation } of snapshots) {
      if (rotation === undefined) continue;
      // only now it is known that there is one
      if (last === undefined && !context.json) context.terminal.out(`${heading}\n`);
      last = rotationView(rotation);
      if (!context.json) tellProgress(progress.advance(last), context);
    }
  } catch (error) {
    const cutOff = error instanceof CliError && CUT_OFF.includes(error.code);
    if (last === undefined || !cutOff) throw error;
    throw outcomeUnknown(last, error);
  }
  if (last === undefined) throw new Error('the registry told nothing of the rotation');
  if (!ENDS.includes(last.state)) throw outcomeUnknown(last);
  return last;
}

function outcomeUnknown(last: RotationView, cause?: CliError): CliError {
  const why = cause === undefined ? '' : ` (${cause.message})`;
  return new CliError(
    'outcome-unknown',
    `cut off after rotation ${last.id} had begun, last seen ${last.state}: it may have been made or not${why}`,
    {
      cause,
      rotation: last,
      remedy: 'See how it ended with `concert rotations` before you repeat it.',
    },
  );
}

function report(rotation: RotationView, context: CommandContext): CommandResult {
  if (rotation.state === 'aborted') {
    throw new CliError('rotation-refused', rotation.failure || 'the switch was not made', {
      rotation,
    });
  }
  const failures = explainFailures(rotation);
  const whole = rotation.state === 'verified';
  const paint = whole ? context.palette.good : context.palette.warn;
  return {
    json: rotation,
    text: [paint(summarize(rotation)), failures].filter((part) => part !== '').join('\n'),
    exitCode: whole ? 0 : EXIT_INCOMPLETE,
  };
}

const SWITCH_HELP =
  '\nNothing is switched anywhere unless everyone required is ready. Once begun, the switch goes on\n' +
  'even if this command is interrupted: see `concert rotations`.\n';

export function addCertRotateCommands(cert: Command, run: Run): void {
  const streamOptions = (flags: RotationFlags) => ({
    timeoutMs: (flags.timeout ?? DEFAULT_PREPARE_MS) + REST_OF_ROTATION_MS,
  });
  addRotationOptions(
    cert
      .command('rotate')
      .description('move the whole fleet to a certificate at one instant')
      .argument('<id>', 'the certificate'),
  )
    .addHelpText('after', SWITCH_HELP)
    .addHelpText(
      'after',
      examples(
        'concert cert rotate 3f2a9c',
        'concert cert rotate 3f2a9c --require imap,smtp --timeout 30s',
        'concert cert rotate 3f2a9c --drain-previous --json   # after a key was lost',
      ),
    )
    .action((certificateId: string, flags: RotationFlags) =>
      run(async (context) => {
        const options = toRotationOptions(flags);
        const client = await context.registry();
        const snapshots = client.stream(
          CertRegistryServiceService.rotateCertificate,
          { certificateId, options },
          streamOptions(flags),
        );
        return report(await follow(snapshots, context, `Rotating to ${certificateId}`), context);
      }),
    );
  addRotationOptions(
    cert
      .command('rollback')
      .description(
        'rotate to the certificate that was active before; a new generation all the same',
      ),
  )
    .addHelpText('after', SWITCH_HELP)
    .addHelpText('after', examples('concert cert rollback'))
    .action((flags: RotationFlags) =>
      run(async (context) => {
        const options = toRotationOptions(flags);
        const client = await context.registry();
        const snapshots = client.stream(
          CertRegistryServiceService.rollbackCertificate,
          { options },
          streamOptions(flags),
        );
        return report(await follow(snapshots, context, 'Rolling back'), context);
      }),
    );
}
