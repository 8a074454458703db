/** The edge to whoever runs the command: standard streams, hidden questions, signals, the clock. */
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { CliError } from './errors.ts';

/** A secret on standard input is one line, and no longer than this. */
const MAX_SECRET_BYTES = 4 * 1024;
/** What shells give for a program that a signal has ended: 130 for SIGINT, 143 for SIGTERM. */
const EXIT_BY_SIGNAL = 128;

export interface Terminal {
  /** Results. */
  out(text: string): void;
  /** Errors and remarks. */
  err(text: string): void;
  /** Whether a person can be asked something. */
  readonly interactive: boolean;
  /** Whether results go to a terminal. */
  readonly outputIsTerminal: boolean;
  readonly colour: boolean;
  now(): Date;
  /** What is to be said from now on where a signal ends the command; "" for nothing. */
  sayIfInterrupted(text: string): void;
  /** The first line of standard input, without its end. Throws CliError (usage). */
  readSecretLine(): Promise<string>;
  /** Asks without showing the answer. Throws CliError (usage) where nobody can be asked. */
  askHidden(question: string): Promise<string>;
  /** Asks for yes or no; everything but "y" and "yes" is no. */
  confirm(question: string): Promise<boolean>;
}

async function readFirstLine(input: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    chunks.push(bytes);
    size += bytes.length;
    if (size > MAX_SECRET_BYTES || bytes.includes(0x0a)) break;
  }
  const text = Buffer.concat(chunks).toString('utf8');
  const [line = ''] = text.split(/\r?\n/, 1);
  if (Buffer.byteLength(line) > MAX_SECRET_BYTES) {
    throw new CliError('usage', 'the secret on standard input is longer than 4 KiB');
  }
  if (line === '') {
    throw new CliError('usage', 'standard input holds no secret', {
      remedy: "Give it on one line, as in: printf 'secret\\n' | concert ...",
    });
  }
  return line;
}

/** Asks on standard error, so that standard output holds results only. */
function ask(question: string, hidden: boolean): Promise<string> {
  process.stderr.write(question);
  const muted = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({
    input: process.stdin,
    output: hidden ? muted : process.stderr,
    terminal: hidden,
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  lines.once('line', resolve);
  const stopped = () => reject(new CliError('usage', 'nothing was entered'));
  lines.once('SIGINT', stopped);
  lines.once('close', stopped);
  return promise.finally(() => {
    lines.close();
    if (hidden) process.stderr.write('\n');
  });
}

/** Resolves once what was written has been handed to the system. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}

/**
 * The real one. Colour where both streams show it; Node obeys NO_COLOR and TERM. From now on a signal ends
 * this process, also where it is the first of a container, which signals do not end by themselves.
 */
export function openTerminal(): Terminal & { flush(): Promise<void> } {
  let lastWords = '';
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (lastWords !== '') process.stderr.write(`concert: ${lastWords}\n`);
      process.exit(EXIT_BY_SIGNAL + constants.signals[signal]);
    });
  }
  const interactive = process.stdin.isTTY === true && process.stderr.isTTY === true;
  const outputIsTerminal = process.stdout.isTTY === true;
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive,
    outputIsTerminal,
    colour: [process.stdout, process.stderr].every((stream) => stream.isTTY && stream.hasColors()),
    now: () => new Date(),
    sayIfInterrupted: (text) => {
      lastWords = text;
    },
    flush: async () => {
      await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
    },
    readSecretLine: () => readFirstLine(process.stdin),
    askHidden(question) {
      if (interactive) return ask(question, true);
      throw new CliError('usage', 'there is no terminal to ask for the secret', {
        remedy: 'Give it on standard input with --password-stdin or --passphrase-stdin.',
      });
    },
    async confirm(question) {
      if (!interactive) return false;
      return /^y(es)?$/i.test((await ask(`${question} [y/N] `, false)).trim());
    },
  };
}
