/**
 * What a topology's functions were given and gave during a test, so that the shadow run can ask them
 * again.
 *
 * I1. The test goes as without notes: nothing is decoded for them, and what user code may change is
 *     copied before it is called.
 */
import type { AnyRec, SegmentNode, Topology, TopologyNode } from '../topology/node.ts';
import { Rec } from '../topology/record.ts';
import { copyOf } from './copy-value.ts';

/** The nodes whose function gives something that the next one goes on with. */
export type CalledNode = Extract<
  TopologyNode,
  {
    readonly kind:
      | 'mapValues'
      | 'flatMapValues'
      | 'filter'
      | 'selectKey'
      | 'aggregate'
      | 'windowedAggregate';
  }
>;

type FoldNode = Extract<CalledNode, { readonly add: unknown }>;

export interface NotedCall {
  readonly node: CalledNode;
  /** The record of the input that the call was made for: `topic-partition@offset`. */
  readonly origin: string;
  readonly result: unknown;
  /** Calls the function of that node with what this call was given. */
  readonly again: (fresh: CalledNode) => unknown;
}

export interface NotedSegment {
  readonly node: SegmentNode;
  /** What came in, for one input record after the other. */
  readonly items: (readonly AnyRec[])[];
}

/** Enough for a test; what a driver is fed by the thousand is not looked at. */
const NOTED_MOST = 2_000;

export class CallNotes {
  readonly calls: NotedCall[] = [];
  readonly segments = new Map<string, NotedSegment>();

  /** The topology with functions that are noted. */
  watched(topology: Topology): Topology {
    return { ...topology, nodes: topology.nodes.map((node) => this.#watched(node)) };
  }

  #watched(node: TopologyNode): TopologyNode {
    switch (node.kind) {
      case 'mapValues':
        return { ...node, map: (record: AnyRec) => this.#call(node, record, (n, r) => n.map(r)) };
      case 'flatMapValues':
        return {
          ...node,
          map: (record: AnyRec) => this.#call(node, record, (n, r) => walked(n.map(r))),
        };
      case 'filter':
        return { ...node, test: (record: AnyRec) => this.#call(node, record, (n, r) => n.test(r)) };
      case 'selectKey':
        return {
          ...node,
          select: (record: AnyRec) => this.#call(node, record, (n, r) => n.select(r)),
        };
      case 'aggregate':
        return { ...node, add: (sum: unknown, record: AnyRec) => this.#fold(node, sum, record) };
      case 'windowedAggregate':
        return { ...node, add: (sum: unknown, record: AnyRec) => this.#fold(node, sum, record) };
      case 'segment':
        return this.#segment(node);
      case 'source':
      case 'peek':
      case 'merge':
      case 'mapAsync':
      case 'repartition':
      case 'late':
      case 'sink':
        return node;
    }
  }

  #segment(node: SegmentNode): SegmentNode {
    const items: (readonly AnyRec[])[] = [];
    this.segments.set(node.id, { node, items });
    return {
      ...node,
      subscribe: (given, observer) => {
        if (items.length < NOTED_MOST) items.push(given.map(snapshot));
        return node.subscribe(given, observer);
      },
    };
  }

  #fold(node: FoldNode, sum: unknown, record: AnyRec): unknown {
    const before = copyOf(sum);
    let given = sum;
    return this.#call(node, record, (n, r) => {
      const result = n.add(given, r);
      given = copyOf(before);
      return result;
    });
  }

  #call<N extends CalledNode, R>(node: N, record: AnyRec, call: (node: N, record: AnyRec) => R): R {
    if (this.calls.length >= NOTED_MOST) return call(node, record);
    const before = snapshot(record);
    const result = call(node, record);
    const { topic, partition, offset } = record.meta;
    this.calls.push({
      node,
      origin: `${topic}-${partition}@${offset}`,
      result: copyOf(result),
      again: (fresh) => call(fresh as N, before),
    });
    return result;
  }
}

/** All of them at once. What cannot be walked is for the task to refuse. */
function walked(results: Iterable<unknown>): Iterable<unknown> {
  const can =
    typeof (results as Partial<Iterable<unknown>> | null)?.[Symbol.iterator] === 'function';
  return can ? [...results] : results;
}

/** I1. The record as it is now, however user code changes its value. */
function snapshot(record: AnyRec): AnyRec {
  const { valueBuffer, valueSerde, keyBuffer, keySerde, meta } = record;
  if (valueBuffer === null || valueSerde === null) {
    return record.withValueAt(copyOf(record.value), record.timestamp);
  }
  const hasKey = keyBuffer !== null && keySerde !== null;
  const fresh: AnyRec = Rec.fromBytes(
    meta,
    { key: keySerde ?? valueSerde, value: valueSerde },
    valueBuffer,
    hasKey ? record.keyStart : -1,
    hasKey ? record.keyEnd : -1,
    record.valueStart,
    record.valueEnd,
  ).withHeaders(record.headers);
  return hasKey ? fresh : fresh.withKey(copyOf(record.key));
}
