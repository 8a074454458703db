/** The texts that Python's email package reads in messages. */
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';

const SCRIPT = `
import base64, email, json, sys
told = []
for raw in json.load(sys.stdin):
    message = email.message_from_bytes(base64.b64decode(raw))
    told.append(message.get_payload(decode=True).decode(message.get_content_charset(), 'replace'))
json.dump(told, sys.stdout)
`;

export async function hasPython(): Promise<boolean> {
  try {
    await promisify(execFile)('python3', ['-c', 'import email']);
    return true;
  } catch {
    return false;
  }
}

/** Of messages without parts. Rejects where Python fails. */
export async function askPython(messages: readonly Buffer[]): Promise<string[]> {
  const python = spawn('python3', ['-c', SCRIPT], { timeout: 60_000 });
  const told: Buffer[] = [];
  const complaints: Buffer[] = [];
  python.stdout.on('data', (piece: Buffer) => told.push(piece));
  python.stderr.on('data', (piece: Buffer) => complaints.push(piece));
  python.stdin.end(JSON.stringify(messages.map((raw) => raw.toString('base64'))));
  const code = await new Promise((resolve, reject) => {
    python.on('error', reject);
    python.on('close', resolve);
  });
  if (code !== 0) throw new Error(`Python: ${Buffer.concat(complaints)}`);
  return JSON.parse(Buffer.concat(told).toString());
}
