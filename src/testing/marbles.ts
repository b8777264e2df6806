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
 * default 0. Throws `OPTION_INVALID` for a letter without a record, a bracket without the other, and
 * for `|`, `#`, `^` and `!`, since the topics of a topology begin before a test and never end.
 */
export function marbles<K, V>(
  diagram: string,
  records: Readonly<Record<string, readonly [K | null, V | null]>>,
  startMs = 0,
): readonly TimedRecord<K, V>[] {
  checkDiagram(diagram);
  checkRecords(diagram, records);
  const scheduler = new TestScheduler(() => {});
  // Only within `run` is a character one millisecond, not ten.
  const messages = scheduler.run(() =>
    TestScheduler.parseMarbles(diagram, undefined, undefined, false, true),
  );
  return messages.map(({ frame, notification }) => {
    const name = notification.kind === 'N' ? String(notification.value) : null;
    const record = name === null || !Object.hasOwn(records, name) ? undefined : records[name];
    if (record === undefined)
      throw refused(diagram, `has the letter '${name}', which stands for no record`);
    const [key, value] = record;
    return { key, value, timestampMs: startMs + frame };
  });
}

/** What RxJS would read as something else, or take without a word. */
function checkDiagram(diagram: string): void {
  if (typeof diagram !== 'string') throw refused(String(diagram), 'is not a text');
  if (/[|#]/.test(diagram)) {
    throw refused(diagram, 'ends, which the topics of a topology never do: leave | and # out');
  }
  if (/[\^!]/.test(diagram)) {
    throw refused(diagram, 'has ^ or !, which mark subscriptions: nobody subscribes to a topic');
  }
  let open = false;
  for (const character of diagram.replace(/[^()]/g, '')) {
    if ((character === '(') === open) {
      const why = open ? 'has ( within brackets' : 'has a ) without its (';
      throw refused(diagram, `${why}: letters in brackets share a time, as in a(bc)d`);
    }
    open = character === '(';
  }
  if (open) throw refused(diagram, 'has a ( without its ): letters in brackets share a time');
}

function checkRecords(diagram: string, records: unknown): void {
  if (typeof records !== 'object' || records === null) {
    throw refused(diagram, 'needs records: { a: [key, value] }');
  }
  for (const [name, record] of Object.entries(records)) {
    if (Array.isArray(record) && record.length === 2) continue;
    throw refused(diagram, `needs the record '${name}' as [key, value]: { ${name}: [key, value] }`);
  }
}

function refused(diagram: string, why: string): EscapementError {
  return new EscapementError('OPTION_INVALID', `The diagram '${diagram}' ${why}.`);
}
