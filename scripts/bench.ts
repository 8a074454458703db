/** `npm run bench -- NAME [ARGUMENT ...]`: runs bench/NAME.ts, which prints one JSON line per case. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const folder = resolve(import.meta.dirname, '../bench');
const known = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3))
  .sort();
const [name, ...rest] = process.argv.slice(2);

if (name === undefined || !known.includes(name)) {
  console.error(`usage: npm run bench -- NAME\nbenchmarks: ${known.join(', ')}`);
  process.exit(name === undefined || name === '--help' ? 0 : 2);
}
const result = spawnSync(process.execPath, [join(folder, `${name}.ts`), ...rest], {
  stdio: 'inherit',
});
process.exit(result.status ?? 1);
