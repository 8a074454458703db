/**
 * TXT records written by the operator's own program: `HOOK add|remove OWNER TEXT`, without a shell, in an
 * environment without Concert's settings, which hold secrets. Exit code 0 means done.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { environmentForPrograms, type Logger } from '@mail/service';
import type { TxtWriter } from './dns-challenge.ts';
import { AcmeError, plainText } from './errors.ts';
import { stopReason } from './transport.ts';

/** Hooks that wait for a provider's API take minutes. */
const TIMEOUT_MS = 300_000;
/** Of what it prints, the end goes into the log. */
const MAX_OUTPUT = 2_000;
/** For its last words. Whoever else holds its output by then, a daemon that it left, is not waited for. */
const DRAIN_MS = 1_000;

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
    const abandoned = new AbortController();
    const kill = (): void => {
      if (!killGroup(child.pid)) abandoned.abort();
    };
    either.addEventListener('abort', kill);
    let output = '';
    const keep = (text: string): void => {
      output = `${output}${text}`.slice(-MAX_OUTPUT);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const closed = new Promise((resolve) => child.once('close', resolve));
    let code: number | null = null;
    try {
      [code] = await once(child, 'exit', { signal: abandoned.signal });
    } catch (cause) {
      if (!abandoned.signal.aborted) {
        const message = `the hook ${this.#program} ${reasonOf(cause)}`;
        throw new AcmeError('proof-failed', message, { cause });
      }
      // somebody else's process: it cannot be ended, only left
      child.unref();
    } finally {
      either.removeEventListener('abort', kill);
    }
    await drained(child, closed);
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

/** False where it may not be ended. It may have ended by itself meanwhile, which is as well. */
function killGroup(pid: number | undefined): boolean {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
    return code === 'ESRCH';
  }
}

async function drained(child: ChildProcess, closed: Promise<unknown>): Promise<void> {
  const stop = new AbortController();
  const timer = sleep(DRAIN_MS, undefined, { signal: stop.signal }).catch(() => {});
  await Promise.race([closed, timer]);
  stop.abort();
  child.stdout?.destroy();
  child.stderr?.destroy();
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  return `can't be run (${code})`;
}
