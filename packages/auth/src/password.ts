/**
 * Passwords at rest: argon2id (RFC 9106) as PHC strings, computed off the event loop, a few at a time,
 * since each takes megabytes on purpose.
 */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { AuthError } from './errors.ts';

export interface PasswordCost {
  readonly memoryKiB: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** OWASP's first choice for argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane. */
export const DEFAULT_PASSWORD_COST: PasswordCost = { memoryKiB: 19_456, passes: 2, parallelism: 1 };

export interface PasswordHasherOptions {
  readonly cost?: PasswordCost;
  /** Computations at once; each holds `memoryKiB` and a thread of libuv's pool. */
  readonly concurrency?: number;
  /** Computations that may wait; past it: busy. */
  readonly maxWaiting?: number;
}

export interface StoredHash extends PasswordCost {
  readonly salt: Buffer;
  readonly tag: Buffer;
}

const SALT_BYTES = 16;
const TAG_BYTES = 32;
/** libuv has four threads by default, and files want one too. */
const DEFAULT_CONCURRENCY = Math.min(3, availableParallelism());
const DEFAULT_MAX_WAITING = 512;
const MAX_PASSWORD_BYTES = 1_024;
/** Of stored hashes, so that a damaged row can't take the machine. */
const MAX_COST = { memoryKiB: 1024 * 1024, passes: 64, parallelism: 16 };
/** RFC 9106 §3.1: of one lane. */
const MIN_MEMORY_KIB = 8;
/** Of today's cost: what one very dear hash makes of all failures at most. */
const MAX_TIMES_DEARER = 16;

const PHC =
  /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,171})$/;

const compute = promisify(argon2);

/** Reads a PHC string. Throws AuthError (bad-hash), which does not show it. */
export function parseStoredHash(text: string): StoredHash {
  const [, memory, passes, parallelism, salt, tag] = PHC.exec(text) ?? [];
  const hash: StoredHash = {
    memoryKiB: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt ?? '', 'base64'),
    tag: Buffer.from(tag ?? '', 'base64'),
  };
  const sane =
    hash.passes >= 1 &&
    hash.passes <= MAX_COST.passes &&
    hash.parallelism >= 1 &&
    hash.parallelism <= MAX_COST.parallelism &&
    hash.memoryKiB >= MIN_MEMORY_KIB * hash.parallelism &&
    hash.memoryKiB <= MAX_COST.memoryKiB;
  if (!sane) throw new AuthError('bad-hash', 'a stored password hash is no argon2id PHC string');
  return hash;
}

export class PasswordHasher {
  readonly #cost: PasswordCost;
  readonly #gate: Gate;
  /** What unknown accounts are measured against: a hash of the same cost that no password has. */
  readonly #nobody: StoredHash;
  /** Work of the dearest hash that was seen: every failure takes as much. */
  #mostWork: number;

  constructor(options: PasswordHasherOptions = {}) {
    this.#cost = options.cost ?? DEFAULT_PASSWORD_COST;
    this.#gate = new Gate(
      options.concurrency ?? DEFAULT_CONCURRENCY,
      options.maxWaiting ?? DEFAULT_MAX_WAITING,
    );
    this.#nobody = {
      ...this.#cost,
      salt: randomBytes(SALT_BYTES),
      tag: randomBytes(TAG_BYTES),
    };
    this.#mostWork = workOf(this.#cost);
  }

  /** A PHC string for a new password. Throws AuthError: bad-password, busy. */
  async hash(password: string): Promise<string> {
    const message = octetsOf(password);
    if (message.length === 0 || message.length > MAX_PASSWORD_BYTES) {
      throw new AuthError('bad-password', `a password has 1 to ${MAX_PASSWORD_BYTES} octets`);
    }
    const salt = randomBytes(SALT_BYTES);
    const empty = { ...this.#cost, salt, tag: Buffer.alloc(TAG_BYTES) };
    const tag = await this.#gate.pass(() => computeTag(message, empty));
    const { memoryKiB, passes, parallelism } = this.#cost;
    return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(tag)}`;
  }

  /**
   * Whether `password` made `stored`; undefined stands for an account that does not exist and is never
   * right. Whatever is wrong takes as long as the dearest hash that this process has seen (but for one
   * dearer than sixteen of today's), so that how old a hash is does not tell that there is one.
   * `outdated` asks for a new hash at today's cost. Throws AuthError: bad-hash, busy.
   */
  async verify(
    stored: string | undefined,
    password: string,
  ): Promise<{ readonly correct: boolean; readonly outdated: boolean }> {
    const hash = stored === undefined ? this.#nobody : parseStoredHash(stored);
    const octets = octetsOf(password);
    const fits = octets.length <= MAX_PASSWORD_BYTES;
    const message = octets.subarray(0, MAX_PASSWORD_BYTES);
    const bounded = Math.min(workOf(hash), MAX_TIMES_DEARER * workOf(this.#cost));
    this.#mostWork = Math.max(this.#mostWork, bounded);
    const correct = await this.#gate.pass(async () => {
      const tag = await computeTag(message, hash);
      if (timingSafeEqual(tag, hash.tag) && fits && stored !== undefined) return true;
      await this.#work(this.#mostWork - workOf(hash));
      return false;
    });
    const outdated =
      hash.memoryKiB !== this.#cost.memoryKiB ||
      hash.passes !== this.#cost.passes ||
      hash.parallelism !== this.#cost.parallelism;
    return { correct, outdated: correct && outdated };
  }

  /** Does so much work for nothing, in no more memory than a hash of today takes. */
  async #work(kiB: number): Promise<void> {
    const passes = Math.ceil(kiB / this.#cost.memoryKiB);
    const memoryKiB = passes > 0 ? Math.round(kiB / passes) : 0;
    if (memoryKiB < MIN_MEMORY_KIB) return;
    const cost = { memoryKiB, passes, parallelism: 1 };
    await computeTag(Buffer.alloc(0), { ...this.#nobody, ...cost });
  }
}

/** KiB that a computation of that cost fills, all passes together: what its time grows with. */
function workOf({ memoryKiB, passes }: PasswordCost): number {
  return memoryKiB * passes;
}

function computeTag(message: Buffer, hash: StoredHash): Promise<Buffer> {
  return compute('argon2id', {
    message,
    nonce: hash.salt,
    memory: hash.memoryKiB,
    passes: hash.passes,
    parallelism: hash.parallelism,
    tagLength: hash.tag.length,
  });
}

/** One password typed on two keyboards is one (RFC 8265 §4.2.2, OpaqueString's normalisation). */
function octetsOf(password: string): Buffer {
  return Buffer.from(password.normalize('NFC'), 'utf8');
}

function unpadded(octets: Buffer): string {
  return octets.toString('base64').replace(/=+$/, '');
}

/** Lets a few tasks run at once, first come first served. */
class Gate {
  #free: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];

  constructor(concurrency: number, maxWaiting: number) {
    this.#free = concurrency;
    this.#maxWaiting = maxWaiting;
  }

  async pass<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      this.#free -= 1;
    } else {
      if (this.#waiting.length >= this.#maxWaiting) {
        throw new AuthError('busy', 'too many logins wait already');
      }
      // whoever leaves hands its place on, so the count does not change
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}
