/**
 * Writes a Secret of the pod's own namespace through the cluster's API, with the pod's service account
 * (Kubernetes: "Accessing the Kubernetes API from a Pod"). It takes the right to patch that one Secret.
 */
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { CliError, type CliErrorCode } from './errors.ts';

/** How the cluster is reached and who is calling. */
export interface ClusterAccess {
  /** "https://host[:port]" */
  readonly server: string;
  /** Folder with token, namespace and ca.crt. */
  readonly account: string;
}

/** As each pod with a service account finds it. */
export const OWN_CLUSTER: ClusterAccess = {
  server: 'https://kubernetes.default.svc',
  account: '/var/run/secrets/kubernetes.io/serviceaccount',
};

const TIMEOUT_MS = 15_000;
/** What is read of an answer; a refusal says why in a line. */
const MAX_ANSWER_BYTES = 64 * 1024;
const REFUSALS: Partial<Record<number, CliErrorCode>> = {
  401: 'not-permitted',
  403: 'not-permitted',
  404: 'not-found',
};
/** RFC 1123 §2.1, as the names of Secrets are. */
const SECRET_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/**
 * Replaces the entries `files` (name to text) of a Secret that exists; its others stay. Throws CliError:
 * usage for a bad name or outside a pod, not-found, not-permitted, refused, cluster-unreachable.
 */
export async function patchSecret(
  name: string,
  files: Readonly<Record<string, string>>,
  { server, account }: ClusterAccess = OWN_CLUSTER,
): Promise<void> {
  if (!SECRET_NAME.test(name)) throw new CliError('usage', `"${name}" is no name of a Secret`);
  const [token, namespace, ca] = await Promise.all([
    readAccount(account, 'token'),
    readAccount(account, 'namespace'),
    readAccount(account, 'ca.crt'),
  ]);
  const encoded = Object.entries(files).map(([file, text]) => [file, toBase64(text)]);
  const { status, body } = await send(
    `${server}/api/v1/namespaces/${namespace}/secrets/${name}`,
    ca,
    token,
    JSON.stringify({ data: Object.fromEntries(encoded) }),
  );
  if (status === 200) return;
  const details = `the cluster refuses to write the Secret ${name}: ${reason(body) ?? status}`;
  throw new CliError(REFUSALS[status] ?? 'refused', details);
}

async function readAccount(folder: string, part: string): Promise<string> {
  try {
    return (await readFile(join(folder, part), 'utf8')).trim();
  } catch (cause) {
    throw new CliError('usage', `there is no service account in ${folder}`, {
      cause,
      remedy: 'A Secret is written from a pod whose service account may patch it.',
    });
  }
}

function toBase64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** RFC 7396: a merge patch. */
async function send(
  url: string,
  ca: string,
  token: string,
  patch: string,
): Promise<{ status: number; body: string }> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${token}`,
        'content-type': 'application/merge-patch+json',
        'content-length': Buffer.byteLength(patch),
      };
      const sent = request(url, { method: 'PATCH', ca, headers, signal }, async (answer) => {
        try {
          let body = '';
          for await (const chunk of answer.setEncoding('utf8')) {
            if (body.length < MAX_ANSWER_BYTES) body += chunk;
          }
          resolve({ status: answer.statusCode ?? 0, body });
        } catch (error) {
          reject(error);
        }
      });
      sent.on('error', reject).end(patch);
    });
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? cause.code : 'no answer';
    throw new CliError('cluster-unreachable', `the cluster's API is not reachable: ${why}`, {
      cause,
    });
  }
}

/** The message of a Status, where the answer is one. */
function reason(body: string): string | undefined {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}
