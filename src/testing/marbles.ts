/** Records and their event times as a marble diagram, read by RxJS's TestScheduler. */
import { TestScheduler } from 'rxjs/testing';
import { EscapementError } from '../errors.ts';

/** What `TestInput.pipeAll` takes and `TestOutput.readTimed` gives. */
export interface TimedRecord<K, V> {
  readonly key: K | null;
  readonly value: V | null;
  /** Event time, epoch milliseconds. */
  readonly timestampMs: number;
}

/**
 * The records of a diagram. Each letter is a record of `records` (key and value), each character is a
 * millisecond of event time, `9ms`, `2s` and `1m` between blanks pass time, and letters in brackets
 * share one: the syntax of `TestScheduler.run`. `startMs`: the event time of the first character, by
 * default 0. Throws `OPTION_INVALID` for a letter without a record, and for `|` and `#`, since the
 * topics of a topology never end.
 */
export function marbles<K, V>(
  diagram: string,
  records: Readonly<Record<string, readonly [K | null, V | null]>>,
  startMs = 0,
): readonly TimedRecord<K, V>[] {
  const scheduler = new TestScheduler(() => {});
  // Only within `run` is a character one millisecond, not ten.
  const messages = scheduler.run(() =>
    TestScheduler.parseMarbles(diagram, undefined, undefined, false, true),
  );
  return messages.map(({ frame, notification }) => {
    const name = notification.kind === 'N' ? String(notification.value) : null;
    const record = name === null || !Object.hasOwn(records, name) ? undefined : records[name];
    if (record === undefined) throw refused(diagram, name);
    const [key, value] = record;
    return { key, value, timestampMs: startMs + frame };
  });
}

function refused(diagram: string, name: string | null): EscapementError {
  const why =
    name === null
      ? 'ends, which the topics of a topology never do: leave | and # out'
      : `has the letter '${name}', which stands for no record`;
  return new EscapementError('OPTION_INVALID', `The diagram '${diagram}' ${why}.`);
}
