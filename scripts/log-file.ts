/**
 * A log file that other processes append to, kept from growing for ever. They hold it open, so what is in it
 * is copied away and the file cut to nothing: with O_APPEND the next line then begins at its start.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';

export interface LogLimits {
  /** A file is put away soon after it has grown beyond this. */
  readonly maxBytes: number;
  /** How many old ones are kept, as PATH.1 (the newest), PATH.2 and so on. */
  readonly kept: number;
}

export const LOG_LIMITS: LogLimits = { maxBytes: 20 * 1024 * 1024, kept: 3 };

const PIECE_BYTES = 64 * 1024;

/** Opens the file anew for a process that starts; the old one is kept: what led to a restart is there to read. */
export function openLog(path: string, { kept }: LogLimits = LOG_LIMITS): number {
  if (existsSync(path) && statSync(path).size > 0) {
    makeRoom(path, kept);
    renameSync(path, `${path}.1`);
  }
  return openSync(path, 'a', 0o600);
}

/** Puts the content away where it is too much. Throws what the file system throws. */
export function limitLog(path: string, { maxBytes, kept }: LogLimits = LOG_LIMITS): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= maxBytes) return;
  makeRoom(path, kept);
  copyFileSync(path, `${path}.1`);
  // whatever was written meanwhile
  appendRest(path, `${path}.1`);
  truncateSync(path);
}

function makeRoom(path: string, kept: number): void {
  for (let old = kept - 1; old >= 1; old -= 1) {
    if (existsSync(`${path}.${old}`)) renameSync(`${path}.${old}`, `${path}.${old + 1}`);
  }
}

/** Appends to `copy` what `path` has beyond its length. */
function appendRest(path: string, copy: string): void {
  const [from, to] = [openSync(path, 'r'), openSync(copy, 'a', 0o600)];
  try {
    const piece = Buffer.alloc(PIECE_BYTES);
    let at = statSync(copy).size;
    for (let read = readSync(from, piece, 0, PIECE_BYTES, at); read > 0; ) {
      writeSync(to, piece, 0, read);
      at += read;
      read = readSync(from, piece, 0, PIECE_BYTES, at);
    }
  } finally {
    closeSync(from);
    closeSync(to);
  }
}
