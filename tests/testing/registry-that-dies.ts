/**
 * The registry, killed with SIGKILL at one step of its first switch: CONCERT_TEST_DIE_AT names the step.
 * The kill is synchronous, so nothing of what would have come next happens.
 */
import { buildApp } from '@mail/cert-registry';
import { runService } from '@mail/service';

await runService(
  'cert-registry',
  (context) =>
    buildApp(context, {
      onStep(step) {
        if (step === context.settings['CONCERT_TEST_DIE_AT']) process.kill(process.pid, 'SIGKILL');
      },
    }),
  { protocolWorkers: false },
);
