/** Logs: one JSON object a line on standard output, by pino. Secrets are never handed to a logger. */
import { type Logger, pino } from 'pino';

export type { Logger };

export interface LoggerOptions {
  readonly service: string;
  readonly instance: string;
  readonly level: string;
}

/** The process's logger. Fields that could hold a secret are cut even where a caller slips. */
export function createLogger(options: LoggerOptions): Logger {
  return pino({
    level: options.level,
    base: { service: options.service, instance: options.instance, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: [
        'password',
        'passphrase',
        'privateKey',
        'privateKeyPem',
        'ticketSeed',
        'token',
        '*.password',
        '*.privateKeyPem',
        '*.ticketSeed',
      ],
      censor: '[redacted]',
    },
    serializers: { error: pino.stdSerializers.errWithCause },
  });
}

/** For tests and for the command: says nothing. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}
