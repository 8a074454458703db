/** Errors that end a process before or while it runs, each told to the operator in one line. */

export type ServiceErrorCode =
  | 'bad-setting'
  | 'bad-identity'
  | 'port-in-use'
  | 'port-forbidden'
  | 'address-unavailable'
  | 'folder-not-writable'
  | 'database-corrupt'
  | 'unreachable'
  | 'start-failed';

export class ServiceError extends Error {
  readonly code: ServiceErrorCode;

  /** `message` is one line for the operator: what happened, to which object, what to do. */
  constructor(code: ServiceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ServiceError';
    this.code = code;
  }
}

/** Turns what `listen` fails with into a line that an operator can act on. */
export function listenError(error: unknown, host: string, port: number): ServiceError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const where = `${host}:${port}`;
  switch (code) {
    case 'EADDRINUSE':
      return new ServiceError(
        'port-in-use',
        `port ${port} on ${host} is in use by another program; stop it or configure another port`,
        { cause: error },
      );
    case 'EACCES':
      return new ServiceError(
        'port-forbidden',
        `this user may not listen on ${where}; choose a port from 1024 up or grant CAP_NET_BIND_SERVICE`,
        { cause: error },
      );
    case 'EADDRNOTAVAIL':
      return new ServiceError(
        'address-unavailable',
        `this host has no address ${host}; configure one that it has`,
        { cause: error },
      );
    default:
      return new ServiceError(
        'start-failed',
        `cannot listen on ${where}: ${String(code ?? error)}`,
        {
          cause: error,
        },
      );
  }
}
