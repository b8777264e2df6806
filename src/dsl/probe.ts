/**
 * What a stock segment does on an empty input, found out once at build time.
 *
 * Most segments are silent then and need no subscription for records that were filtered away above;
 * some speak (`toArray`, `count`, `defaultIfEmpty`) or fail (`first`) and must run for every record.
 * One that never ends, or hides an operator of the framework in an inner stream, is refused here
 * rather than at the first record.
 */
import { NEVER, Observable } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { EscapementError } from '../errors.ts';
import { refusal } from './drawing.ts';
import type { Step } from './operator.ts';
import { labelOf, operatorsHere } from './stock-operators.ts';

/** More subscriptions of one empty source than this are taken for endless (`repeat()`). */
const SUBSCRIPTIONS_MAX = 100;

export type OnEmpty = 'silent' | 'speaks';

/** Throws `TOPOLOGY_INVALID` when the steps do not end over an empty source within `timeoutMs`. */
export function probeOnEmpty(id: string, steps: readonly Step[], timeoutMs: number): OnEmpty {
  let seen = subscribeOnEmpty(steps);
  // Timers of stock operators run in virtual time here; only few segments need any.
  if (!seen.ended) seen = inVirtualTime(steps, timeoutMs);
  for (const error of [seen.error, errorBesideNothing(steps)]) {
    if (error instanceof EscapementError && error.code === 'TOPOLOGY_INVALID') {
      throw refusal(id, error.message);
    }
  }
  if (!seen.ended) {
    throw refusal(
      id,
      `its stock operators do not complete within ${timeoutMs} ms when nothing comes in, so no ` +
        `record would ever be finished: take out repeat(), interval, NEVER and streams that stay ` +
        `open, and wait for promises in mapAsync()`,
    );
  }
  return seen.error !== undefined || seen.emitted ? 'speaks' : 'silent';
}

/**
 * What fails at once beside a source that does nothing: an operator that subscribes to a second
 * stream only while the first one is open (`zipWith`, `raceWith`) does not come to it otherwise.
 */
function errorBesideNothing(steps: readonly Step[]): unknown {
  let error: unknown;
  const note = (cause: unknown): void => {
    error = cause;
  };
  try {
    const stream = steps.reduce<Observable<unknown>>((above, step) => step(above), NEVER);
    stream.subscribe({ error: note }).unsubscribe();
  } catch (cause) {
    note(cause);
  }
  return error;
}

/**
 * What the user called the steps: stock operators by their frames while they subscribe, one after the
 * other; one written by hand by the name of its function. Empty when nothing is known.
 */
export function namesOf(steps: readonly Step[]): readonly string[] {
  let names: readonly string[] = [];
  const source = new Observable<unknown>(() => {
    names = operatorsHere().map(labelOf).reverse();
  });
  try {
    steps
      .reduce<Observable<unknown>>((above, step) => step(above), source)
      .subscribe({ error: () => {} })
      .unsubscribe();
  } catch {
    // Said by the probe.
  }
  if (names.length > 0) return names;
  return steps.flatMap(({ name }) => (name === '' ? [] : [`${name}()`]));
}

interface Seen {
  emitted: boolean;
  ended: boolean;
  error: unknown;
}

function subscribeOnEmpty(steps: readonly Step[], later?: (stop: () => void) => void): Seen {
  const seen: Seen = { emitted: false, ended: false, error: undefined };
  let subscriptions = 0;
  const source = new Observable<unknown>((subscriber) => {
    subscriptions += 1;
    // Silence ends an endless loop where an error could be caught and begin it again.
    if (subscriptions <= SUBSCRIPTIONS_MAX) subscriber.complete();
  });
  try {
    const subscription = steps
      .reduce<Observable<unknown>>((above, step) => step(above), source)
      .subscribe({
        next: () => {
          seen.emitted = true;
        },
        error: (cause: unknown) => {
          seen.ended = true;
          seen.error = cause ?? new Error('an empty error');
        },
        complete: () => {
          seen.ended = true;
        },
      });
    if (later === undefined) subscription.unsubscribe();
    else later(() => subscription.unsubscribe());
  } catch (cause) {
    seen.ended = true;
    seen.error = cause;
  }
  return seen;
}

/** Not within another `TestScheduler.run`: that one's timers are real afterwards. */
function inVirtualTime(steps: readonly Step[], timeoutMs: number): Seen {
  const scheduler = new TestScheduler(() => {});
  let stop = (): void => {};
  const seen = scheduler.run(() => {
    scheduler.maxFrames = timeoutMs;
    return subscribeOnEmpty(steps, (unsubscribe) => {
      stop = unsubscribe;
    });
  });
  stop();
  return seen;
}
