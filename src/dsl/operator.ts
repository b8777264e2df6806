/** What marks an operator of the framework: a real RxJS operator that carries a symbol property. */
import type { Observable, OperatorFunction } from 'rxjs';

export const OPERATOR: unique symbol = Symbol('escapement.operator');

/** The structural type of every operator, ours and RxJS's. */
export type Op<A, B> = OperatorFunction<A, B>;

export interface FrameworkOperator<A, B> extends OperatorFunction<A, B> {
  /** Its name, for errors. */
  readonly [OPERATOR]: string;
}

export function isFrameworkOperator(op: unknown): op is FrameworkOperator<unknown, unknown> {
  return typeof op === 'function' && OPERATOR in op;
}

/** A stock operator, or anything that turns one Observable into another. */
export type Step = (source: Observable<unknown>) => Observable<unknown>;
