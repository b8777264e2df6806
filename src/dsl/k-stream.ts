// biome-ignore-all format: the overloads of pipe are a table.
/**
 * The type of a stream of records, as users see it; `tracing-stream.ts` is what it is at run time.
 */
import type { Observable } from 'rxjs';
import type { Keyed, Partitioning, Rec } from '../topology/record.ts';
import type { Op } from './operator.ts';

/**
 * What `pipe` returns: a stream when the operator makes records, nothing after `to`, and a plain
 * Observable for anything else, which no operator of the framework accepts.
 */
export type StreamOf<T> = [T] extends [Rec<infer K, infer V, infer P>]
  ? KStream<K, V, P>
  : [T] extends [undefined]
    ? undefined
    : Observable<T>;

/**
 * A stream of records. It is drawn, never subscribed: for each record that comes in, its operators
 * run once, as if they were `of(record).pipe(...)`. Using a stream twice makes two branches; what
 * is above runs once. Java: `KStream`.
 *
 * @typeParam P `Keyed`, or `Rekeyed` after a key change: then `repartition()` comes before anything
 * that keeps state.
 */
export interface KStream<K, V, P extends Partitioning = Keyed> extends Observable<Rec<K, V, P>> {
  /**
   * Draws up to 24 operators; for more, `pipe(...)` again. Throws `TOPOLOGY_INVALID`.
   *
   * The last eleven overloads stand in the order of RxJS's own: the compiler pairs them from the
   * end when it infers what a stream emits, as in `partition(stream, ...)`.
   */
  pipe<A, B, C, D, E, F, G, H, I, J, L>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>,
  ): StreamOf<L>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>,
  ): StreamOf<M>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M, N>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>, n: Op<M, N>,
  ): StreamOf<N>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M, N, O>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>, n: Op<M, N>,
    o: Op<N, O>,
  ): StreamOf<O>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M, N, O, Q>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>, n: Op<M, N>,
    o: Op<N, O>, q: Op<O, Q>,
  ): StreamOf<Q>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M, N, O, Q, R>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>, n: Op<M, N>,
    o: Op<N, O>, q: Op<O, Q>, r: Op<Q, R>,
  ): StreamOf<R>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M, N, O, Q, R, S>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>, n: Op<M, N>,
    o: Op<N, O>, q: Op<O, Q>, r: Op<Q, R>, s: Op<R, S>,
  ): StreamOf<S>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M, N, O, Q, R, S, T>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>, n: Op<M, N>,
    o: Op<N, O>, q: Op<O, Q>, r: Op<Q, R>, s: Op<R, S>, t: Op<S, T>,
  ): StreamOf<T>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M, N, O, Q, R, S, T, U>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>, n: Op<M, N>,
    o: Op<N, O>, q: Op<O, Q>, r: Op<Q, R>, s: Op<R, S>, t: Op<S, T>, u: Op<T, U>,
  ): StreamOf<U>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M, N, O, Q, R, S, T, U, W>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>, n: Op<M, N>,
    o: Op<N, O>, q: Op<O, Q>, r: Op<Q, R>, s: Op<R, S>, t: Op<S, T>, u: Op<T, U>, w: Op<U, W>,
  ): StreamOf<W>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M, N, O, Q, R, S, T, U, W, X>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>, n: Op<M, N>,
    o: Op<N, O>, q: Op<O, Q>, r: Op<Q, R>, s: Op<R, S>, t: Op<S, T>, u: Op<T, U>, w: Op<U, W>,
    x: Op<W, X>,
  ): StreamOf<X>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M, N, O, Q, R, S, T, U, W, X, Y>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>, n: Op<M, N>,
    o: Op<N, O>, q: Op<O, Q>, r: Op<Q, R>, s: Op<R, S>, t: Op<S, T>, u: Op<T, U>, w: Op<U, W>,
    x: Op<W, X>, y: Op<X, Y>,
  ): StreamOf<Y>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M, N, O, Q, R, S, T, U, W, X, Y, Z>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>, n: Op<M, N>,
    o: Op<N, O>, q: Op<O, Q>, r: Op<Q, R>, s: Op<R, S>, t: Op<S, T>, u: Op<T, U>, w: Op<U, W>,
    x: Op<W, X>, y: Op<X, Y>, z: Op<Y, Z>,
  ): StreamOf<Z>;
  pipe<A, B, C, D, E, F, G, H, I, J, L, M, N, O, Q, R, S, T, U, W, X, Y, Z, AA>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>, l: Op<J, L>, m: Op<L, M>, n: Op<M, N>,
    o: Op<N, O>, q: Op<O, Q>, r: Op<Q, R>, s: Op<R, S>, t: Op<S, T>, u: Op<T, U>, w: Op<U, W>,
    x: Op<W, X>, y: Op<X, Y>, z: Op<Y, Z>, aa: Op<Z, AA>,
  ): StreamOf<AA>;
  pipe(): this;
  pipe<A>(a: Op<Rec<K, V, P>, A>): StreamOf<A>;
  pipe<A, B>(a: Op<Rec<K, V, P>, A>, b: Op<A, B>): StreamOf<B>;
  pipe<A, B, C>(a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>): StreamOf<C>;
  pipe<A, B, C, D>(a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>): StreamOf<D>;
  pipe<A, B, C, D, E>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>,
  ): StreamOf<E>;
  pipe<A, B, C, D, E, F>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
  ): StreamOf<F>;
  pipe<A, B, C, D, E, F, G>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>,
  ): StreamOf<G>;
  pipe<A, B, C, D, E, F, G, H>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>,
  ): StreamOf<H>;
  pipe<A, B, C, D, E, F, G, H, I>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>,
  ): StreamOf<I>;
  pipe<A, B, C, D, E, F, G, H, I, J>(
    a: Op<Rec<K, V, P>, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>,
    g: Op<F, G>, h: Op<G, H>, i: Op<H, I>, j: Op<I, J>,
  ): StreamOf<J>;
}
