/** HTTP to the issuer: no answer is waited for long, none is large, and none leads elsewhere. */

const TIMEOUT_MS = 5_000;
/** Key sets of large issuers are some 20 KiB. */
const MAX_BODY_BYTES = 256 * 1024;

/** As fetch. Rejects also for a redirection, and for what is too large or too late. */
export async function boundedFetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
  const response = await fetch(url, { ...init, signal, redirect: 'error' });
  const pieces: Uint8Array[] = [];
  let octets = 0;
  for await (const piece of response.body ?? []) {
    octets += piece.length;
    // leaving the loop cancels the rest
    if (octets > MAX_BODY_BYTES)
      throw new Error(`the answer of ${new URL(url).origin} is too large`);
    pieces.push(piece);
  }
  const { status, statusText, headers } = response;
  return new Response(octets === 0 ? null : Buffer.concat(pieces), { status, statusText, headers });
}

/** Rejects where the answer is not 200 or no JSON object. */
export async function fetchObject(
  url: string | URL,
  init: RequestInit = {},
): Promise<Record<string, unknown>> {
  const response = await boundedFetch(url, init);
  const { origin } = new URL(url);
  if (response.status !== 200) throw new Error(`${origin} answered ${response.status}`);
  const body: unknown = await response.json();
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Error(`${origin} answered something other than a JSON object`);
  }
  return body as Record<string, unknown>;
}
