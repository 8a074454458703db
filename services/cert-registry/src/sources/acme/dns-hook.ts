/**
 * TXT records written by the operator's own program: `HOOK add|remove OWNER TEXT`, without a shell, in an
 * environment without Concert's settings, which hold secrets. Exit code 0 means done.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { environmentForPrograms, type Logger } from '@mail/service';
import type { TxtWriter } from './dns-challenge.ts';
import { AcmeError, plainText } from './errors.ts';
import { stopReason } from './transport.ts';

/** Hooks that wait for a provider's API take minutes. */
const TIMEOUT_MS = 300_000;
/** Of what it prints, the end goes into the log. */
const MAX_OUTPUT = 2_000;

export class DnsHook implements TxtWriter {
  readonly #program: string;
  readonly #logger: Logger;

  constructor(program: string, logger: Logger) {
    this.#program = program;
    this.#logger = logger;
  }

  add(owner: string, text: string, signal: AbortSignal): Promise<void> {
    return this.#run(['add', owner, text], signal);
  }

  remove(owner: string, text: string, signal: AbortSignal): Promise<void> {
    return this.#run(['remove', owner, text], signal);
  }

  async #run(args: readonly string[], signal: AbortSignal): Promise<void> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const either = AbortSignal.any([signal, timeout]);
    if (either.aborted) throw stopReason(signal);
    // a group of its own, so that what a script has begun ends with it
    const child = spawn(this.#program, args, {
      env: environmentForPrograms(),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const kill = (): void => killGroup(child.pid);
    either.addEventListener('abort', kill);
    let output = '';
    const keep = (text: string): void => {
      output = `${output}${text}`.slice(-MAX_OUTPUT);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    let code: number | null;
    try {
      [code] = await once(child, 'close');
    } catch (cause) {
      throw new AcmeError('proof-failed', `the hook ${this.#program} ${reasonOf(cause)}`, {
        cause,
      });
    } finally {
      either.removeEventListener('abort', kill);
    }
    if (signal.aborted) throw stopReason(signal);
    if (timeout.aborted) {
      const message = `the hook ${this.#program} took longer than ${TIMEOUT_MS / 1000} s`;
      throw new AcmeError('proof-failed', message);
    }
    const [action, owner] = args;
    this.#logger.info(
      { hook: this.#program, action, owner, code, output: plainText(output, MAX_OUTPUT) },
      'ran the DNS hook',
    );
    if (code === 0) return;
    throw new AcmeError(
      'proof-failed',
      `the hook ${this.#program} ended with ${code ?? 'a signal'} at "${action} ${owner}"; the registry's log has what it said`,
    );
  }
}

/** It may have ended by itself meanwhile. */
function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  return `can't be run (${code})`;
}
