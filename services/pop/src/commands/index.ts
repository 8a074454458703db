/** Every command by its verb. */
import { capa } from './capa.ts';
import type { Command } from './command.ts';
import { dele, rset } from './deletion.ts';
import { list, stat, uidl } from './listing.ts';
import { auth, pass, user } from './login.ts';
import { noop, quit } from './quit.ts';
import { retr, top } from './retrieval.ts';
import { stls } from './stls.ts';

export const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['AUTH', auth],
  ['CAPA', capa],
  ['DELE', dele],
  ['LIST', list],
  ['NOOP', noop],
  ['PASS', pass],
  ['QUIT', quit],
  ['RETR', retr],
  ['RSET', rset],
  ['STAT', stat],
  ['STLS', stls],
  ['TOP', top],
  ['UIDL', uidl],
  ['USER', user],
]);
