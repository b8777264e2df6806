/**
 * What the compiler says about topologies. Compiled, never run: `compile.test.ts` sees to it that
 * each `@ts-expect-error` is needed and nothing else is wrong.
 */
import {
  concatMap,
  delay,
  map,
  mergeMap,
  type Observable,
  of,
  partition,
  pipe,
  toArray,
} from 'rxjs';
import { aggregate } from '../../src/dsl/aggregate.ts';
import { count } from '../../src/dsl/count.ts';
import { filter } from '../../src/dsl/filter.ts';
import { flatMapValues } from '../../src/dsl/flat-map-values.ts';
import type { KStream } from '../../src/dsl/k-stream.ts';
import { mapAsync } from '../../src/dsl/map-async.ts';
import { mapValues } from '../../src/dsl/map-values.ts';
import { merge } from '../../src/dsl/merge.ts';
import { peek } from '../../src/dsl/peek.ts';
import { repartition } from '../../src/dsl/repartition.ts';
import { selectKey } from '../../src/dsl/select-key.ts';
import { to } from '../../src/dsl/to.ts';
import { topology } from '../../src/dsl/topology.ts';
import { values } from '../../src/dsl/values.ts';
import { tumbling } from '../../src/dsl/window.ts';
import { windowedAggregate } from '../../src/dsl/windowed-aggregate.ts';
import { long } from '../../src/serde/long.ts';
import type { Serde } from '../../src/serde/serde.ts';
import { string } from '../../src/serde/string.ts';
import { windowedSerde } from '../../src/serde/windowed.ts';
import type { Keyed, Rec, Rekeyed, Windowed } from '../../src/topology/record.ts';

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function same<A, B>(is: Same<A, B>): void;

interface Usage {
  readonly customerId: string;
  readonly at: number;
  readonly quantity: number;
}
interface Paid {
  readonly kind: 'paid';
  readonly cents: number;
}
interface Refused {
  readonly kind: 'refused';
  readonly why: string;
}
declare const usage: Serde<Usage>;
declare const payment: Serde<Paid | Refused>;
declare function priceOf(quantity: number, signal: AbortSignal): Promise<number>;

const t = topology('types');
const lines = t.stream('lines', { key: string(), value: string() });
const events = t.stream('usage', {
  key: string(),
  value: usage,
  timestamp: (record) => record.value.at,
});

export function twelveOperatorsInferExactly(): void {
  const result = events.pipe(
    filter((record) => record.value.quantity > 0),
    mapValues((value, record) => ({ ...value, day: Math.floor(record.timestamp / 86_400_000) })),
    peek((record) => same<typeof record.value.day, number>(true)),
    mapAsync(async (value, _record, signal) => ({
      ...value,
      price: await priceOf(value.quantity, signal),
    })),
    flatMapValues((value) => [value.price, value.day]),
    map((record) => record.withValue(String(record.value))),
    delay(1),
    values(concatMap((value) => of(value.length))),
    selectKey((record) => record.value),
    repartition({ name: 'by-length', key: long(), value: long() }),
    windowedAggregate({
      name: 'sums',
      window: tumbling({ sizeMs: 60_000, graceMs: 0 }),
      init: () => 0,
      add: (sum, value) => sum + value,
      key: long(),
      value: long(),
    }),
    mapValues((sum, record) => `${record.key.key} from ${record.key.start}: ${sum}`),
  );
  same<typeof result, KStream<Windowed<number>, string, Keyed>>(true);
  const end = result.pipe(to('sums', { key: windowedSerde(long(), 60_000), value: string() }));
  same<typeof end, undefined>(true);
}

export function keyChangesAreTracked(): void {
  const rekeyed = lines.pipe(selectKey((record) => record.value.length));
  same<typeof rekeyed, KStream<number, string, Rekeyed>>(true);
  const repartitioned = rekeyed.pipe(
    repartition({ name: 'by-size', key: long(), value: string() }),
  );
  same<typeof repartitioned, KStream<number, string, Keyed>>(true);
  const counts = repartitioned.pipe(count({ name: 'sizes', key: long() }));
  same<typeof counts, KStream<number, number, Keyed>>(true);
  const stock = lines.pipe(map((record) => record.withKey(1)));
  same<typeof stock, KStream<number, string, Rekeyed>>(true);
}

export function stateAfterAKeyChangeIsRefused(): void {
  lines.pipe(
    // @ts-expect-error the key changes here: no count() before repartition()
    selectKey((record) => record.value),
    count({ name: 'a', key: string() }),
  );
  lines.pipe(
    // @ts-expect-error the key changes inside a stock operator
    map((record) => record.withKey(record.value)),
    count({ name: 'b', key: string() }),
  );
  lines.pipe(
    // @ts-expect-error the key changes inside a stock mergeMap
    mergeMap((record) => of(record.with(1, 2))),
    count({ name: 'c', key: long() }),
  );
  lines.pipe(
    // @ts-expect-error the key changes here: no aggregate() before repartition()
    selectKey((record) => record.value),
    aggregate({ name: 'd', init: () => 0, add: (n: number) => n, key: string(), value: long() }),
  );
  lines.pipe(
    // @ts-expect-error the key changes here: no windows before repartition()
    selectKey((record) => record.value),
    windowedAggregate({
      name: 'e',
      window: tumbling({ sizeMs: 1, graceMs: 0 }),
      init: () => 0,
      add: (n: number) => n,
      key: string(),
      value: long(),
    }),
  );
  const rekeyed = lines.pipe(selectKey((record) => record.value));
  // @ts-expect-error the key changed in an earlier pipe
  rekeyed.pipe(count({ name: 'f', key: string() }));
  // @ts-expect-error one of the merged streams has another key
  lines.pipe(merge(rekeyed), count({ name: 'g', key: string() }));
}

export function serdesMustFit(): void {
  // @ts-expect-error the values are strings
  lines.pipe(to('out', { key: string(), value: long() }));
  // @ts-expect-error the keys are strings
  lines.pipe(to('out', { key: long(), value: string() }));
  // @ts-expect-error the key of the store is a string
  lines.pipe(count({ name: 'a', key: long() }));
  // @ts-expect-error a count is a number
  lines.pipe(count({ name: 'b', key: string() }), to('out', { key: string(), value: string() }));
  // @ts-expect-error the values that are repartitioned are strings
  lines.pipe(repartition({ name: 'c', key: string(), value: long() }));
  lines.pipe(
    aggregate({
      name: 'd',
      init: () => 0,
      add: (sum, value) => sum + value.length,
      key: string(),
      // @ts-expect-error the aggregate is a number
      value: string(),
    }),
  );
  const windowed = events.pipe(
    windowedAggregate({
      name: 'e',
      window: { sizeMs: 60_000, advanceMs: 10_000, graceMs: 0 },
      init: () => 0,
      add: (sum, value) => sum + value.quantity,
      key: string(),
      value: long(),
      emit: 'final',
      late: (late) => late.pipe(to('late', { key: string(), value: usage })),
    }),
  );
  same<typeof windowed, KStream<Windowed<string>, number, Keyed>>(true);
  // @ts-expect-error the key is a window of a string
  windowed.pipe(to('out', { key: string(), value: long() }));
}

export function mistakesAreRefused(): void {
  // @ts-expect-error an aggregate has a name
  lines.pipe(count({ key: string() }));
  // @ts-expect-error a window has a grace
  tumbling({ sizeMs: 60_000 });
  lines.pipe(
    // @ts-expect-error nothing follows to()
    to('out', { key: string(), value: string() }),
    mapValues((value) => value),
  );
  lines.pipe(
    // @ts-expect-error a stream of plain values is no stream of records
    map((record) => record.value),
    mapValues((value: string) => value),
  );
  lines.pipe(
    // @ts-expect-error an object literal is no record
    map(() => ({ key: 'a', value: 1 })),
    count({ name: 'a', key: string() }),
  );
  // @ts-expect-error there is no such property on the value
  lines.pipe(filter((record) => record.value.quantity > 0));
  // @ts-expect-error `keep` makes the value nullable
  t.stream('kept', { key: string(), value: usage, nulls: 'keep' }).pipe(mapValues((v) => v.at));
}

export function guardsNarrow(): void {
  const payments = t.stream('payments', { key: string(), value: payment });
  const isPaid = (record: Rec<string, Paid | Refused, Keyed>): record is Rec<string, Paid, Keyed> =>
    record.value.kind === 'paid';
  const paid = payments.pipe(filter(isPaid));
  same<typeof paid, KStream<string, Paid, Keyed>>(true);
  // @ts-expect-error the tag was not narrowed
  payments.pipe(mapValues((value) => value.cents));
  paid.pipe(mapValues((value) => value.cents));
}

export function compositionsInfer(): void {
  const shout = pipe(
    map((record: Rec<string, string, Keyed>) => record.withValue(record.value.toUpperCase())),
    mapValues((value) => value.length),
  );
  const composed = lines.pipe(shout, count({ name: 'a', key: string() }));
  same<typeof composed, KStream<string, number, Keyed>>(true);
  const handWritten = (source: Observable<Rec<string, string, Keyed>>) =>
    source.pipe(map((record) => record.withValue(1)));
  const kept = lines.pipe(handWritten);
  same<typeof kept, KStream<string, number, Keyed>>(true);
  const both = lines.pipe(merge(kept));
  same<typeof both, KStream<string, string | number, Keyed>>(true);
  const lists = lines.pipe(values(toArray()));
  same<typeof lists, KStream<string, string[], Keyed>>(true);
  const nullable = t.stream('nullable', { key: string(), value: string(), nulls: 'keep' });
  same<typeof nullable, KStream<string, string | null, Keyed>>(true);
  nullable.pipe(
    repartition({ name: 'b', key: string(), value: string() }),
    to('tombstones', { key: string(), value: string() }),
  );
}

export function streamsAreObservables(): void {
  const asObservable: Observable<Rec<string, string, Keyed>> = lines;
  const [short, rest] = partition(lines, (record) => record.value.length < 3);
  same<typeof short, Observable<Rec<string, string, Keyed>>>(true);
  void [asObservable, rest];
}

export function twentyFourOperatorsInfer(): void {
  const result = lines.pipe(
    mapValues((v) => v.length),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
    mapValues((v) => v + 1),
  );
  same<typeof result, KStream<string, number, Keyed>>(true);
}
