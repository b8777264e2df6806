/**
 * A sub-topology's nodes as closures: what one record runs through.
 *
 * Framework operators of one stage are fused: each is a closure that calls its children, depth
 * first, as Kafka Streams does. An edge into a later stage, and every asynchronous node, ends the
 * synchronous walk: the record is handed to `defer`, and the staged execution takes it from there.
 */
import { invariant } from '../errors.ts';
import type { AnyRec, SinkNode, SourceNode, TopologyNode } from '../topology/node.ts';
import type { Origin } from '../topology/record.ts';
import { type AsyncNode, isAsynchronous } from '../topology/stages.ts';
import type { OutputTopic } from '../transaction/scope.ts';
import type { Process, TaskContext } from './context.ts';
import { aggregateProcess, hasNullKey, refuseNullKey } from './processors/aggregate.ts';
import {
  filterProcess,
  flatMapValuesProcess,
  mapValuesProcess,
  peekProcess,
  selectKeyProcess,
} from './processors/per-record.ts';
import { mappedSinkProcess, sinkProcess } from './processors/sink.ts';
import { windowedAggregateProcess } from './processors/windowed-aggregate.ts';

export interface GraphOptions {
  readonly nodes: readonly TopologyNode[];
  /** Stage of each node by id: the number of asynchronous nodes before it, stores aligned. */
  readonly stages: ReadonlyMap<string, number>;
  readonly context: TaskContext;
  /** The topic a sink or repartition node writes to. */
  readonly outputTopic: (node: TopologyNode) => OutputTopic;
  /** Takes a record that goes on in a later stage, or into an asynchronous node. */
  readonly defer: (target: DeferTarget, record: AnyRec) => void;
}

/** Where a deferred record goes on. */
export interface DeferTarget {
  readonly node: TopologyNode;
  readonly stage: number;
  /** For an asynchronous node: its work; results go to `process`. */
  readonly work: AsyncNode | null;
  readonly process: Process;
}

export interface Graph {
  /** Entry by source topic as the topology names it. */
  readonly entries: ReadonlyMap<string, { readonly node: SourceNode; readonly process: Process }>;
  /** Window closers by stage; each runs once per slot, after the slot's record. */
  readonly closers: readonly (readonly ((origin: Origin) => void)[])[];
  readonly stageCount: number;
  /** The one deferral target of an asynchronous node. */
  readonly targetOf: (node: AsyncNode) => DeferTarget;
}

export function compileGraph(options: GraphOptions): Graph {
  const { nodes, stages, context } = options;
  const children = new Map<string, TopologyNode[]>();
  for (const node of nodes) {
    for (const parent of node.parents) {
      const siblings = children.get(parent);
      if (siblings === undefined) children.set(parent, [node]);
      else siblings.push(node);
    }
  }
  const stageOf = (node: TopologyNode): number => stages.get(node.id) ?? 0;
  const stageCount = 1 + nodes.reduce((most, node) => Math.max(most, lastStage(node)), 0);
  const closers: ((origin: Origin) => void)[][] = Array.from({ length: stageCount }, () => []);
  const made = new Map<string, Process>();
  const targets = new Map<string, DeferTarget>();

  function lastStage(node: TopologyNode): number {
    return isAsynchronous(node) ? stageOf(node) + 1 : stageOf(node);
  }

  /** What a record leaving `from` at `stage` does. */
  function downstream(from: TopologyNode, stage: number, kinds: 'all' | 'late' | 'main'): Process {
    const next = (children.get(from.id) ?? [])
      .filter((child) => kinds === 'all' || (child.kind === 'late') === (kinds === 'late'))
      .map((child) => edge(child, stage));
    const [first, second] = next;
    if (first === undefined) return () => {};
    if (second === undefined) return first;
    return (record) => {
      for (const process of next) process(record);
    };
  }

  function edge(child: TopologyNode, stage: number): Process {
    const childStage = stageOf(child);
    if (!isAsynchronous(child) && childStage === stage) return processOf(child);
    const target = targetOf(child);
    return (record) => options.defer(target, record);
  }

  /** The sink that is all there is behind a node, in its stage. */
  function onlySinkOf(node: TopologyNode): SinkNode | null {
    const [first, second] = children.get(node.id) ?? [];
    if (first?.kind !== 'sink' || second !== undefined) return null;
    return stageOf(first) === stageOf(node) ? first : null;
  }

  function targetOf(node: TopologyNode): DeferTarget {
    let target = targets.get(node.id);
    if (target === undefined) {
      const stage = stageOf(node);
      target = {
        node,
        stage,
        work: isAsynchronous(node) ? node : null,
        process: isAsynchronous(node) ? downstream(node, stage + 1, 'all') : processOf(node),
      };
      targets.set(node.id, target);
    }
    return target;
  }

  function processOf(node: TopologyNode): Process {
    let process = made.get(node.id);
    if (process === undefined) {
      process = build(node);
      made.set(node.id, process);
    }
    return process;
  }

  function build(node: TopologyNode): Process {
    const stage = stageOf(node);
    switch (node.kind) {
      case 'source':
      case 'merge':
      case 'late':
        return downstream(node, stage, 'all');
      case 'filter':
        return filterProcess(node, downstream(node, stage, 'all'));
      case 'mapValues': {
        const sink = onlySinkOf(node);
        if (sink !== null) {
          const topic = options.outputTopic(sink);
          return mappedSinkProcess(context, topic, sink, node);
        }
        return mapValuesProcess(node, downstream(node, stage, 'all'));
      }
      case 'flatMapValues':
        return flatMapValuesProcess(node, downstream(node, stage, 'all'));
      case 'selectKey':
        return selectKeyProcess(node, downstream(node, stage, 'all'));
      case 'peek':
        return peekProcess(node, downstream(node, stage, 'all'));
      case 'aggregate':
        return aggregateProcess(context, node, downstream(node, stage, 'all'));
      case 'windowedAggregate': {
        const late = node.late === null ? null : downstream(node, stage, 'late');
        const main = downstream(node, stage, 'main');
        const windowed = windowedAggregateProcess(context, node, main, late);
        if (windowed.closeWindows !== null) closers[stage]!.push(windowed.closeWindows);
        return windowed.process;
      }
      case 'sink':
        return sinkProcess(context, options.outputTopic(node), node);
      case 'repartition': {
        const write = sinkProcess(context, options.outputTopic(node), node);
        // Nothing behind the topic that keeps state takes a record without a key: refused here, it
        // is the input record that fails, which its owner can find.
        return (record) => {
          if (hasNullKey(record)) refuseNullKey(node);
          write(record);
        };
      }
      case 'mapAsync':
      case 'segment':
        invariant(false, 'an asynchronous node has no synchronous process', { node: node.id });
    }
  }

  const entries = new Map<string, { node: SourceNode; process: Process }>();
  for (const node of nodes) {
    if (node.kind === 'source') entries.set(node.topic, { node, process: processOf(node) });
  }
  return { entries, closers, stageCount, targetOf };
}
