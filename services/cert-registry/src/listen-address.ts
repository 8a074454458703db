/** Where a listener listens, as settings write it. */
import { isIPv6 } from 'node:net';
import { ServiceError } from '@mail/service';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** "host:port", IPv6 hosts in brackets, as `setting` has it. Throws ServiceError (bad-setting). */
export function parseAddress(address: string, setting: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
  const [, six, name, digits] = match ?? [];
  const host = six ?? name ?? '';
  const port = Number(digits);
  if (match === null || port > 65_535 || (six !== undefined && !isIPv6(six))) {
    throw new ServiceError(
      'bad-setting',
      `${setting} wants host:port such as 127.0.0.1:7443, not "${address}"`,
    );
  }
  return { host, port };
}
