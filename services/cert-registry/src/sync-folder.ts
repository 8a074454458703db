/** Names in a folder, made to outlive the power. */
import { closeSync, fsyncSync, openSync } from 'node:fs';

/** A file that was made, linked or renamed is durable under its name once its folder is. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
