/** Limits on what accounts hold, as options say them and as they are shown. */
import type { Limits } from '@mail/store';
import { InvalidArgumentError } from 'commander';
import { formatSize, parseSize } from './sizes.ts';

/** Those of accounts can be left to the domain. */
type Word = 'none' | 'default';

/** A parser for a size, or one of `words`. */
export function parseSizeLimit<W extends Word>(
  ...words: readonly W[]
): (text: string) => number | W {
  return (text) => {
    const limit = words.find((word) => word === text) ?? parseSize(text);
    if (limit !== undefined) return limit;
    throw new InvalidArgumentError(
      `It wants a size such as 5GB or 500MiB, or ${words.join(', ')}.`,
    );
  };
}

/** A parser for a number of messages, or one of `words`. */
export function parseCountLimit<W extends Word>(
  ...words: readonly W[]
): (text: string) => number | W {
  return (text) => {
    const limit =
      words.find((word) => word === text) ?? (/^\d{1,15}$/.test(text) ? Number(text) : undefined);
    if (limit !== undefined) return limit;
    throw new InvalidArgumentError(`It wants a number of messages, or ${words.join(', ')}.`);
  };
}

/** "5 GB, 10000 messages", or "none". */
export function describeLimits({ octets, messages }: Limits): string {
  const parts = [
    ...(octets === undefined ? [] : [formatSize(octets)]),
    ...(messages === undefined ? [] : [`${messages} messages`]),
  ];
  return parts.length === 0 ? 'none' : parts.join(', ');
}

/** For --json: null for no limit. */
export function limitsView({ octets, messages }: Limits) {
  return { octets: octets ?? null, messages: messages ?? null };
}
