import { concatMap, map, type Observable, of } from 'rxjs';
import type { AnyRec } from '../topology/node.ts';
import type { Partitioning, Rec } from '../topology/record.ts';
import { type AsyncOptions, asyncBounds, refuseUnknownAsync } from './async-options.ts';
import type { FrameworkOperator, Op, Step } from './operator.ts';
import { frameworkOperator } from './tracing-stream.ts';

export interface ValuesOptions extends AsyncOptions {
  /** Names the operator in errors and descriptions. */
  readonly name?: string;
}

/**
 * Stock RxJS operators on the value of each record, as `of(value).pipe(...)`; key, time and headers
 * are put back, so the key cannot change. Up to 8 operators; for more, compose them with `pipe` of
 * RxJS.
 */
export function values<K, V, P extends Partitioning, A>(
  a: Op<V, A>,
  options?: ValuesOptions,
): FrameworkOperator<Rec<K, V, P>, Rec<K, A, P>>;
export function values<K, V, P extends Partitioning, A, B>(
  a: Op<V, A>,
  b: Op<A, B>,
  options?: ValuesOptions,
): FrameworkOperator<Rec<K, V, P>, Rec<K, B, P>>;
export function values<K, V, P extends Partitioning, A, B, C>(
  a: Op<V, A>,
  b: Op<A, B>,
  c: Op<B, C>,
  options?: ValuesOptions,
): FrameworkOperator<Rec<K, V, P>, Rec<K, C, P>>;
export function values<K, V, P extends Partitioning, A, B, C, D>(
  a: Op<V, A>,
  b: Op<A, B>,
  c: Op<B, C>,
  d: Op<C, D>,
  options?: ValuesOptions,
): FrameworkOperator<Rec<K, V, P>, Rec<K, D, P>>;
export function values<K, V, P extends Partitioning, A, B, C, D, E>(
  a: Op<V, A>,
  b: Op<A, B>,
  c: Op<B, C>,
  d: Op<C, D>,
  e: Op<D, E>,
  options?: ValuesOptions,
): FrameworkOperator<Rec<K, V, P>, Rec<K, E, P>>;
export function values<K, V, P extends Partitioning, A, B, C, D, E, F>(
  a: Op<V, A>,
  b: Op<A, B>,
  c: Op<B, C>,
  d: Op<C, D>,
  e: Op<D, E>,
  f: Op<E, F>,
  options?: ValuesOptions,
): FrameworkOperator<Rec<K, V, P>, Rec<K, F, P>>;
export function values<K, V, P extends Partitioning, A, B, C, D, E, F, G>(
  a: Op<V, A>,
  b: Op<A, B>,
  c: Op<B, C>,
  d: Op<C, D>,
  e: Op<D, E>,
  f: Op<E, F>,
  g: Op<F, G>,
  options?: ValuesOptions,
): FrameworkOperator<Rec<K, V, P>, Rec<K, G, P>>;
export function values<K, V, P extends Partitioning, A, B, C, D, E, F, G, H>(
  a: Op<V, A>,
  b: Op<A, B>,
  c: Op<B, C>,
  d: Op<C, D>,
  e: Op<D, E>,
  f: Op<E, F>,
  g: Op<F, G>,
  h: Op<G, H>,
  options?: ValuesOptions,
): FrameworkOperator<Rec<K, V, P>, Rec<K, H, P>>;
export function values(...given: readonly unknown[]): FrameworkOperator<unknown, never> {
  const inner = given.filter((each): each is Step => typeof each === 'function');
  const options = (given.find((each) => typeof each !== 'function') ?? {}) as ValuesOptions;
  refuseUnknownAsync('values', options);
  return frameworkOperator('values', (stream) => {
    const { drawing } = stream;
    const problems: string[] = [];
    const bounds = asyncBounds(options, problems);
    for (const problem of problems) drawing.problem(options.name ?? 'values', problem);
    const step: Step = concatMap((record) => perValue(record as AnyRec, inner));
    return stream.segment([step], { bounds, inner: [inner], name: options.name });
  });
}

/** One subscription per record: the operators are applied anew, so nothing outlives the record. */
function perValue(record: AnyRec, inner: readonly Step[]): Observable<unknown> {
  const results = inner.reduce((source, step) => step(source), of(record.value as unknown));
  return results.pipe(map((value) => record.withValue(value)));
}
