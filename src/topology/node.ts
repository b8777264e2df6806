/**
 * A topology as plain data: nodes with their parents, made by `src/dsl`, run by `src/runtime`.
 *
 * A node says what is to be done, never how: functions of the user and serdes are values in it. The
 * names of topics and stores are part of an application's identity, so each is given by the user.
 */
import type { Decoder, Rec } from './record.ts';

/** A serde as the topology sees it; `src/serde/serde.ts` is its full contract. */
export interface NodeSerde<T = unknown> extends Decoder<T> {
  readonly name: string;
  /** Returns the end, or minus the number of missing bytes when the value does not fit. */
  encode(value: T, buffer: Buffer, at: number): number;
}

// biome-ignore lint/suspicious/noExplicitAny: records of unknown types meet in the graph.
export type AnyRec = Rec<any, any, any>;
// biome-ignore lint/suspicious/noExplicitAny: serdes of unknown types meet in the graph.
export type AnySerde = NodeSerde<any>;

/** What happens to a record that fails. `fail` is the default. */
export type RecordPolicy =
  | { readonly kind: 'fail' }
  | { readonly kind: 'skip' }
  | { readonly kind: 'dead-letter'; readonly topic: string }
  | { readonly kind: 'retry'; readonly attempts: number; readonly then: RecordPolicy };

/** Reads the event time of a record, in epoch milliseconds; a negative result is a record error. */
export type TimestampExtractor = (record: AnyRec) => number;

interface NodeShape {
  /** Unique within the topology, stable as long as the pipeline is: `KSTREAM-MAPVALUES-…` in Java. */
  readonly id: string;
  /** Ids of the nodes whose records come in. Empty for sources. */
  readonly parents: readonly string[];
}

export interface SourceNode extends NodeShape {
  readonly kind: 'source';
  readonly topic: string;
  readonly key: AnySerde;
  readonly value: AnySerde;
  readonly timestamp: TimestampExtractor | null;
  readonly onError: RecordPolicy;
  /** `drop`: records with a null value only advance stream time. `keep`: they are passed on. */
  readonly nulls: 'drop' | 'keep';
  /** Where to go on when the position is not in the log. Absent: the task stops. */
  readonly outOfRange?: 'earliest' | 'latest';
  /** Set for the read side of a repartition topic: the application's own topic, by its short name. */
  readonly repartition: string | null;
  /** The user's name for the sub-topology that reads this; by default it is called after `topic`. */
  readonly subTopology?: string;
}

export interface FilterNode extends NodeShape {
  readonly kind: 'filter';
  readonly test: (record: AnyRec) => boolean;
}
export interface MapValuesNode extends NodeShape {
  readonly kind: 'mapValues';
  readonly map: (record: AnyRec) => unknown;
}
export interface FlatMapValuesNode extends NodeShape {
  readonly kind: 'flatMapValues';
  readonly map: (record: AnyRec) => Iterable<unknown>;
}
export interface SelectKeyNode extends NodeShape {
  readonly kind: 'selectKey';
  readonly select: (record: AnyRec) => unknown;
}
export interface PeekNode extends NodeShape {
  readonly kind: 'peek';
  readonly look: (record: AnyRec) => void;
}
export interface MergeNode extends NodeShape {
  readonly kind: 'merge';
}

/** Receives what a stock segment makes of the records that one input record caused. */
export interface SegmentObserver {
  next(record: AnyRec): void;
  error(cause: unknown): void;
  complete(): void;
}

/** One of a segment's operators by itself, as tests look at it. */
export interface SegmentOperator {
  readonly takes: 'records' | 'values';
  /** The function of RxJS, which nothing here may know. */
  readonly operator: unknown;
}

/** Consecutive stock RxJS operators, subscribed once per input record. */
export interface SegmentNode extends NodeShape {
  readonly kind: 'segment';
  /** What its operators are called, for errors. */
  readonly called?: string;
  /** Subscribes the segment over `items` (cold, bound to them); returns how to unsubscribe. */
  readonly subscribe: (items: readonly AnyRec[], observer: SegmentObserver) => () => void;
  /** True when the segment emits although nothing came in (`toArray`, `count`, `defaultIfEmpty`). */
  readonly speaksOnEmpty: boolean;
  /** In their order, those of `values` on values. */
  readonly operators: readonly SegmentOperator[];
  readonly concurrency: number;
  readonly order: 'key' | 'partition';
  readonly timeoutMs: number;
}

/** One asynchronous call per record; results go on in dispatch order. */
export interface MapAsyncNode extends NodeShape {
  readonly kind: 'mapAsync';
  readonly map: (record: AnyRec, signal: AbortSignal) => unknown;
  readonly concurrency: number;
  readonly order: 'key' | 'partition';
  readonly timeoutMs: number;
}

/** The write side of a repartition topic; its read side is a `source` with `repartition` set. */
export interface RepartitionNode extends NodeShape {
  readonly kind: 'repartition';
  readonly name: string;
  readonly key: AnySerde;
  readonly value: AnySerde;
  /** Partitions of the topic; `null`: as many as the largest input of the sub-topology has. */
  readonly partitions: number | null;
}

export interface AggregateNode extends NodeShape {
  readonly kind: 'aggregate';
  /** What the user wrote, when it was not `aggregate`. */
  readonly writtenAs?: 'count';
  readonly store: string;
  readonly init: () => unknown;
  /** Looks at `record.value` itself, so that an aggregation which never does never decodes it. */
  readonly add: (aggregate: unknown, record: AnyRec) => unknown;
  readonly key: AnySerde;
  readonly value: AnySerde;
}

export interface WindowedAggregateNode extends NodeShape {
  readonly kind: 'windowedAggregate';
  readonly store: string;
  readonly sizeMs: number;
  readonly advanceMs: number;
  readonly graceMs: number;
  readonly emit: 'update' | 'final';
  readonly init: () => unknown;
  /** Looks at `record.value` itself, so that an aggregation which never does never decodes it. */
  readonly add: (aggregate: unknown, record: AnyRec) => unknown;
  readonly key: AnySerde;
  readonly value: AnySerde;
  /** The `late` node that records of closed windows go to, or `null`: counted and dropped. */
  readonly late: string | null;
}

/** First node of the pipeline for late records; its parent is the windowed aggregation. */
export interface LateNode extends NodeShape {
  readonly kind: 'late';
}

export interface SinkNode extends NodeShape {
  readonly kind: 'sink';
  readonly topic: string;
  readonly key: AnySerde;
  readonly value: AnySerde;
}

export type TopologyNode =
  | SourceNode
  | FilterNode
  | MapValuesNode
  | FlatMapValuesNode
  | SelectKeyNode
  | PeekNode
  | MergeNode
  | SegmentNode
  | MapAsyncNode
  | RepartitionNode
  | AggregateNode
  | WindowedAggregateNode
  | LateNode
  | SinkNode;

/** Nodes in an order in which parents come first. */
export interface Topology {
  readonly name: string;
  readonly nodes: readonly TopologyNode[];
}
