/**
 * Values of MIME parameters that were split or have a charset (RFC 2231 §3, §4), put together and decoded, as
 * BODYSTRUCTURE of IMAP4rev2 tells them (RFC 9051 §7.5.2).
 */
import type { Parameter } from './body-structure.ts';
import { decodeCharset } from './charsets.ts';

/** `name*`, `name*0`, `name*0*`. */
const EXTENDED_NAME = /^([^*]+)\*(?:(\d{1,3})(\*)?)?$/;
/** `charset'language'value`. */
const WITH_CHARSET = /^([^']*)'[^']*'(.*)$/s;

/** A piece of one value. */
interface Segment {
  readonly number: number;
  /** Whether it has octets as "%41". */
  readonly encoded: boolean;
  readonly value: string;
}

function readSegment([name, value]: Parameter): { base: string; segment: Segment } | undefined {
  const [, base, number, star] = EXTENDED_NAME.exec(name) ?? [];
  if (base === undefined) return undefined;
  const encoded = number === undefined || star !== undefined;
  return { base, segment: { number: Number(number ?? 0), encoded, value } };
}

function octetsOf({ encoded, value }: Segment): Buffer {
  if (!encoded) return Buffer.from(value);
  const octets = Buffer.from(value).toString('latin1');
  const decoded = octets.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return Buffer.from(decoded, 'latin1');
}

/** Segments 0, 1, 2 and so on as one parameter; undefined where nobody can tell what they say. */
function join(base: string, segments: readonly Segment[]): Parameter | undefined {
  const inOrder = [...segments].sort((a, b) => a.number - b.number);
  const [first] = inOrder;
  if (first === undefined || inOrder.some(({ number }, index) => number !== index))
    return undefined;
  if (inOrder.every(({ encoded }) => !encoded)) {
    return [base, inOrder.map(({ value }) => value).join('')];
  }
  const [, charset, value] = (first.encoded && WITH_CHARSET.exec(first.value)) || [];
  if (charset === undefined || value === undefined) return undefined;
  const octets = Buffer.concat([{ ...first, value }, ...inOrder.slice(1)].map(octetsOf));
  const text = decodeCharset(octets, charset === '' ? 'utf-8' : charset);
  // as other texts: no line end, no NUL
  return text === undefined ? undefined : [`${base}*`, text.replaceAll(/[\r\n\0]+/g, ' ')];
}

/**
 * `baz*0`, `baz*1` become `baz`; `foo*`, or `foo*0*` and those behind it, become `foo*`, its value without
 * charset and "%". What cannot be decoded stays as it is.
 */
export function decodeParameters(parameters: readonly Parameter[]): readonly Parameter[] {
  const read = parameters.map(readSegment);
  const segments = Map.groupBy(
    read.filter((one) => one !== undefined),
    ({ base }) => base,
  );
  if (segments.size === 0) return parameters;
  const joined = new Map(
    [...segments].map(([base, all]) => [
      base,
      join(
        base,
        all.map(({ segment }) => segment),
      ),
    ]),
  );
  const told = new Set<string>();
  return parameters.flatMap((parameter, index): Parameter[] => {
    const base = read[index]?.base;
    const whole = base === undefined ? undefined : joined.get(base);
    if (base === undefined || whole === undefined) return [parameter];
    if (told.has(base)) return [];
    told.add(base);
    return [whole];
  });
}
