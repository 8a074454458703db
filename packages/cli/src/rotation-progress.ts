/**
 * A rotation as it happens, as lines: the registry streams whole snapshots, this tells what is new in
 * each, so that the story is the same on a terminal, in a pipe and in a test.
 */
import type { CommandContext } from './command.ts';
import { milliseconds, plain } from './output.ts';
import type { OutcomeView, RotationView } from './views.ts';

export interface ProgressLine {
  readonly kind: 'step' | 'good' | 'bad';
  readonly text: string;
}

/** The way of a subscriber that goes along, and of each phase how far along that is. */
const WAY = ['ready', 'active', 'verified'] as const;
const REACHED: Readonly<Record<string, number>> = {
  ready: 1,
  active: 2,
  verified: 3,
  unverified: 2,
};
const FAILED = new Set(['rejected', 'late', 'lost', 'unverified']);

/** What an operator can do about a subscriber that ended in `phase`. */
const REMEDIES: Readonly<Record<string, string>> = {
  rejected:
    'Its log says more; `concert cert preview ID` checks the certificate. --require can leave it out.',
  late: 'Look at its load and its log, give it longer with --timeout, or leave it out with --require.',
  lost:
    'Start it again, or wait until its lease has run out (`concert fleet` shows it), ' +
    'or leave it out with --require.',
  unverified: 'Its port showed something else or could not be reached: see its log and its ports.',
};
const REMEDY_GONE =
  'If it still runs, it serves what it had: see why it does not reach the registry.';

/** Its lease ran out, not long before or meanwhile: no switch waits for it. */
function isGone({ phase, code }: OutcomeView): boolean {
  return phase === 'lost' && code === 'lease-expired';
}

function name(outcome: OutcomeView): string {
  return `${plain(outcome.service)} ${plain(outcome.instance)}`;
}

function ports(outcome: OutcomeView): string {
  return outcome.ports.map((port) => plain(port.listener)).join(', ');
}

/** Why a subscriber stands where it stands: code, sentence, ports that showed something else. */
function reason(outcome: OutcomeView): string {
  const faults = outcome.ports
    .filter((port) => port.error !== '')
    .map((port) => `${port.listener}: ${port.error}`);
  return plain([outcome.code, outcome.detail, ...faults].filter((part) => part !== '').join('; '));
}

export class RotationProgress {
  readonly #reached = new Map<string, number>();
  readonly #failed = new Set<string>();
  #committed = false;

  /** Lines for what `rotation` tells beyond the snapshots before it. */
  advance(rotation: RotationView): ProgressLine[] {
    const before: ProgressLine[] = [];
    const after: ProgressLine[] = [];
    for (const outcome of rotation.outcomes) {
      const key = `${outcome.service}/${outcome.instance}`;
      const reached = REACHED[outcome.phase] ?? 0;
      // snapshots may skip phases that a subscriber went through in between
      for (let step = this.#reached.get(key) ?? 0; step < reached; step += 1) {
        const word = WAY[step] ?? 'ready';
        const text = `  ${word.padEnd(9)} ${name(outcome)}${this.#remark(word, outcome)}`;
        (word === 'ready' ? before : after).push({ kind: 'good', text });
      }
      this.#reached.set(key, Math.max(reached, this.#reached.get(key) ?? 0));
      if (FAILED.has(outcome.phase) && !this.#failed.has(key)) {
        this.#failed.add(key);
        const why = reason(outcome);
        const text = `  ${outcome.phase.padEnd(9)} ${name(outcome)}${why === '' ? '' : `  ${why}`}`;
        (rotation.toGeneration === 0 ? before : after).push({ kind: 'bad', text });
      }
    }
    if (!this.#committed && rotation.toGeneration > 0 && rotation.state !== 'preparing') {
      this.#committed = true;
      before.push({ kind: 'step', text: `  committed generation ${rotation.toGeneration}` });
    }
    return [...before, ...after];
  }

  #remark(word: string, outcome: OutcomeView): string {
    if (word === 'active') {
      const sign = outcome.swapOffsetMs < 0 ? '' : '+';
      return `  ${sign}${outcome.swapOffsetMs.toFixed(2)} ms`;
    }
    const seen = ports(outcome);
    return word === 'verified' && seen !== '' ? `  on ${seen}` : '';
  }
}

/** Prints lines of progress as they come. */
export function tellProgress(
  lines: readonly ProgressLine[],
  { terminal, palette }: Pick<CommandContext, 'terminal' | 'palette'>,
): void {
  const paint = { good: palette.good, bad: palette.bad, step: palette.bold };
  for (const { kind, text } of lines) terminal.out(`${paint[kind](text)}\n`);
}

interface Tally {
  readonly taking: number;
  readonly verified: number;
  /** Left behind, but there. */
  readonly left: number;
  readonly gone: number;
}

function tally({ outcomes }: RotationView): Tally {
  const taking = outcomes.filter((outcome) => (REACHED[outcome.phase] ?? 0) > 0);
  const verified = taking.filter((outcome) => outcome.phase === 'verified').length;
  const gone = outcomes.filter(isGone).length;
  const left = outcomes.length - taking.length - gone;
  return { taking: taking.length, verified, left, gone };
}

/** How many proved a rotation, in a few words. */
export function proofOf(rotation: RotationView): string {
  const { verified, gone } = tally(rotation);
  const there = rotation.outcomes.length - gone;
  const proof =
    there === 0 ? 'no subscriber was there to verify' : `${verified} of ${there} verified`;
  return gone === 0 ? proof : `${proof}, ${gone} presumed gone`;
}

/** How a rotation that was committed ended, in a few sentences. */
export function summarize(rotation: RotationView): string {
  const { taking, verified, left, gone } = tally(rotation);
  const end = rotation.verifiedMs > 0 ? rotation.verifiedMs : rotation.activatedMs;
  const time = end > 0 ? ` in ${milliseconds(end)}` : '';
  const who =
    taking + left === 0
      ? 'No subscriber was there to verify it; each will take it up when it connects.'
      : `${verified} of ${taking} subscribers verified${time}, skew ${milliseconds(rotation.skewMs)}.`;
  const behind = left === 0 ? '' : ` ${left} left behind: see \`concert fleet\`.`;
  const absent = gone === 0 ? '' : ` ${gone} presumed gone, and not on it where they still run.`;
  return `Generation ${rotation.toGeneration} is in force. ${who}${behind}${absent}`;
}

/** Who stood in the way or fell behind, why, and what to do: a paragraph each. Empty for nobody. */
export function explainFailures(rotation: RotationView): string {
  return rotation.outcomes
    .filter((outcome) => FAILED.has(outcome.phase))
    .map((outcome) => {
      const why = reason(outcome);
      const required = outcome.required ? '' : ' (not required)';
      const remedy = isGone(outcome) ? REMEDY_GONE : (REMEDIES[outcome.phase] ?? '');
      return `  ${name(outcome)} ${outcome.phase}${required}${why === '' ? '' : `: ${why}`}\n    ${remedy}`;
    })
    .join('\n');
}
