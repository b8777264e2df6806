/**
 * A stream while its topology is drawn: applying operators to it adds nodes instead of subscribing.
 *
 * Stock operators reach it through `lift`, hand-written ones are kept whole when they return a
 * plain Observable; both become a `segment`. Operators of the framework add their own nodes.
 *
 * I1. It never emits: subscribing is refused, with its name.
 * I2. An operator that was applied as one is kept as one and applied anew for each record. Lifting
 *     its inner operator again would share what the operator keeps between its two functions
 *     (`share` holds its subject there) among records that run at the same time.
 */
import { Observable, type Operator } from 'rxjs';
import { EscapementError } from '../errors.ts';
import type { SegmentOperator } from '../topology/node.ts';
import { ASYNC_DEFAULTS, type AsyncBounds } from './async-options.ts';
import { type Drawing, refusal } from './drawing.ts';
import { type FrameworkOperator, isFrameworkOperator, OPERATOR, type Step } from './operator.ts';
import { namesOf } from './probe.ts';
import { insteadOf, operatorsHere } from './stock-operators.ts';

/** Whether the records still have the key that they are partitioned by. */
export type KeyState = 'keyed' | 'rekeyed';

export interface TracingOptions {
  readonly drawing: Drawing;
  /** The node whose records these are. */
  readonly node: string;
  readonly keyState: KeyState;
}

export class TracingStream extends Observable<unknown> {
  readonly drawing: Drawing;
  readonly node: string;
  readonly keyState: KeyState;

  constructor({ drawing, node, keyState }: TracingOptions) {
    super();
    this.drawing = drawing;
    this.node = node;
    this.keyState = keyState;
  }

  /** The stream of a node just added below this one. */
  below(node: string, keyState: KeyState = this.keyState): TracingStream {
    return new TracingStream({ drawing: this.drawing, node, keyState });
  }

  /** Adds a segment below this stream. */
  segment(steps: readonly Step[], options: SegmentOptions = {}): TracingStream {
    const { bounds = ASYNC_DEFAULTS, inner = [], name } = options;
    const id = name ?? this.drawing.nextId('segment');
    const named = name !== undefined;
    const calls = inner.length === 0 ? namesOf(steps) : ['values()'];
    const parents = [this.node];
    const operators: readonly SegmentOperator[] =
      inner.length === 0
        ? steps.map((operator) => ({ takes: 'records', operator }))
        : inner.flat().map((operator) => ({ takes: 'values', operator }));
    return this.below(
      this.drawing.add({
        ...{ kind: 'segment', id, named, calls, parents },
        ...{ steps, inner, operators, bounds },
      }),
    );
  }

  override pipe(...operators: readonly unknown[]): never {
    let at: unknown = this;
    for (const operator of operators) at = applied(operator, at);
    return at as never;
  }

  /** How a stock operator arrives that is applied inside another function. */
  override lift<R>(operator?: Operator<unknown, R>): Observable<R> {
    const steps: readonly Step[] = [
      (source) => source.lift(operator as Operator<unknown, unknown>),
    ];
    return this.segment(steps) as Observable<R>;
  }

  override subscribe(): never {
    const by = insteadOf(operatorsHere(), 'streams');
    const error = refusal(
      this.node,
      `this stream of topology '${this.drawing.topology}' was subscribed, but a topology is drawn ` +
        `and then run: join streams with merge() of the framework, and look at records with peek()` +
        (by === null ? '' : ` (${by})`),
    );
    if (by !== null) JOINED_BY.set(error, by);
    throw error;
  }
}

export interface SegmentOptions {
  readonly bounds?: AsyncBounds;
  readonly inner?: readonly (readonly Step[])[];
  readonly name?: string | undefined;
}

/** An operator that draws. `draw` gets the stream it is applied to. */
export function frameworkOperator<A, B>(
  name: string,
  draw: (stream: TracingStream) => TracingStream | undefined,
): FrameworkOperator<A, B> {
  const operator = (source: Observable<A>): Observable<B> => {
    if (source instanceof TracingStream) return draw(source) as unknown as Observable<B>;
    if (source === undefined) throw refusal(name, NOTHING_AFTER_TO);
    throw refusal(name, GRAPH_LOST + subscribedBy(source));
  };
  return Object.assign(operator, { [OPERATOR]: name } as const);
}

const NOTHING_AFTER_TO = 'nothing can follow to(): use the stream before it twice';
const GRAPH_LOST =
  'it was applied to a plain Observable, the graph was lost above: join streams with merge() of ' +
  'the framework, and keep its operators out of inner streams';

/** What of RxJS has subscribed, by the refusal that it got. */
const JOINED_BY = new WeakMap<EscapementError, string>();

/** What of RxJS joined streams into a plain Observable: it says so when it subscribes to one. */
function subscribedBy(source: unknown): string {
  if (!(source instanceof Observable)) return '';
  let by: string | null = null;
  const note = (cause: unknown): void => {
    by = (cause instanceof EscapementError && JOINED_BY.get(cause)) || null;
  };
  try {
    source.subscribe({ error: note }).unsubscribe();
  } catch (cause) {
    note(cause);
  }
  return by === null ? '' : ` (${by})`;
}

function applied(operator: unknown, at: unknown): unknown {
  if (typeof operator !== 'function') {
    throw refusal('pipe', `an operator is ${String(operator)}, not a function`);
  }
  if (isFrameworkOperator(operator)) return operator(at as Observable<unknown>);
  const name = operator.name === '' ? 'a stock operator' : operator.name;
  if (at === undefined) throw refusal(name, NOTHING_AFTER_TO);
  const step = operator as Step;
  if (!(at instanceof TracingStream)) return step(at as Observable<unknown>);
  const mark = at.drawing.mark();
  const result: unknown = step(at);
  return settled({ stream: at, step, mark, name, result });
}

interface Applied {
  readonly stream: TracingStream;
  readonly step: Step;
  readonly mark: number;
  readonly name: string;
  readonly result: unknown;
}

/** Decides what an operator that is not ours was: a composition of ours, or one stock step. */
function settled({ stream, step, mark, name, result }: Applied): unknown {
  const { drawing } = stream;
  const drawn = drawing.since(mark);
  const stock = drawn.every(({ kind }) => kind === 'segment');
  if (result instanceof TracingStream) {
    if (!stock || drawn.length === 0 || !isChain(stream, drawn, result)) return result;
    drawing.takeBack(mark);
    return stream.segment([step]);
  }
  if (result === undefined && !stock) return undefined;
  if (!(result instanceof Observable)) {
    throw refusal(name, `it returned ${String(result)}, an operator returns an Observable`);
  }
  if (!stock) throw refusal(name, `it returns a plain Observable, so ${LOST_BELOW}`);
  drawing.takeBack(mark);
  return stream.segment([step]);
}

const LOST_BELOW =
  'what it draws with operators of the framework would be lost: join its branches with merge() of ' +
  'the framework';

function isChain(
  stream: TracingStream,
  drawn: readonly { readonly id: string; readonly parents: readonly string[] }[],
  result: TracingStream,
): boolean {
  let above = stream.node;
  for (const { id, parents } of drawn) {
    if (parents[0] !== above) return false;
    above = id;
  }
  return above === result.node;
}
