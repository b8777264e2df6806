/** Windows of event time, aligned to the epoch. */
import { type Known, refuseUnknown } from '../config/known-options.ts';

export interface TimeWindow {
  /** Length of a window, 1 ms or more. */
  readonly sizeMs: number;
  /** From one window's start to the next, at most `sizeMs`. Default: `sizeMs` (tumbling). */
  readonly advanceMs?: number;
  /** How long after its end a window still takes records, 0 ms or more. */
  readonly graceMs: number;
}

export const WINDOW: Known<TimeWindow> = { sizeMs: true, advanceMs: true, graceMs: true };

const TUMBLING = { sizeMs: true, graceMs: true };

/** Windows that neither overlap nor leave a gap. Java: `TimeWindows.ofSizeAndGrace`. */
export function tumbling(window: {
  readonly sizeMs: number;
  readonly graceMs: number;
}): TimeWindow {
  refuseUnknown('tumbling', window, TUMBLING);
  const { sizeMs, graceMs } = window ?? {};
  return { sizeMs, graceMs };
}

/** What is wrong with a window, each with its allowed range. */
export function windowProblems(window: TimeWindow | undefined): readonly string[] {
  if (typeof window !== 'object' || window === null) {
    return ['needs a window, such as tumbling({ sizeMs, graceMs })'];
  }
  const { sizeMs, advanceMs = sizeMs, graceMs } = window;
  const problems: string[] = [];
  const atLeast = (name: string, value: unknown, least: number): void => {
    if (Number.isSafeInteger(value) && Number(value) >= least) return;
    problems.push(`${name} must be a whole number of ms from ${least}, not ${String(value)}`);
  };
  atLeast('sizeMs', sizeMs, 1);
  atLeast('advanceMs', advanceMs, 1);
  atLeast('graceMs', graceMs, 0);
  if (advanceMs > sizeMs) {
    problems.push(
      `advanceMs (${advanceMs}) must be at most sizeMs (${sizeMs}), or records fall between windows`,
    );
  }
  return problems;
}
