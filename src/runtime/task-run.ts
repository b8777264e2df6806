/**
 * Everything of a task that begins anew at a committed point: feeds at the committed offsets, an
 * empty scope, the stream time, the graph's closures and the execution over them. The stores stay.
 */
import type { Options } from '../config/options.ts';
import { type EscapementError, invariant } from '../errors.ts';
import type { Fetcher, PartitionFeed } from '../kafka/fetch/fetcher.ts';
import type { Ports } from '../ports.ts';
import type { Log } from '../telemetry/log.ts';
import type { SegmentNode, TopologyNode } from '../topology/node.ts';
import { StepScope } from '../transaction/scope.ts';
import type { Committed } from './committed.ts';
import { TaskContext } from './context.ts';
import type { Execution, ExecutionParts } from './execution.ts';
import { compileGraph, type Graph } from './graph.ts';
import { LookAhead, storeOfKeys } from './look-ahead.ts';
import { Progress } from './progress.ts';
import { RecordPolicies } from './record-policy.ts';
import { RecordQueue } from './record-queue.ts';
import { SerialExecution } from './serial-execution.ts';
import { type Speaker, StagedExecution } from './staged-execution.ts';
import { StreamTime } from './stream-time.ts';
import type { SubTopologyPlan, TaskPlan, TopicNames } from './task-plan.ts';
import type { TaskStores } from './task-stores.ts';

export interface TaskRun {
  readonly execution: Execution;
  readonly queue: RecordQueue;
  readonly scope: StepScope;
  readonly progress: Progress;
  /** One per input of the plan. */
  readonly feeds: readonly PartitionFeed[];
  /** With nothing under way, the progress passes what holds no records behind the last one. */
  catchUp(): void;
  /** Removes the feeds and drops unreleased slots. */
  close(): void;
}

export interface TaskRunOptions {
  readonly plan: TaskPlan;
  readonly subTopology: SubTopologyPlan;
  readonly names: TopicNames;
  readonly stores: TaskStores;
  readonly committed: Committed;
  readonly options: Options;
  readonly fetcher: Fetcher;
  readonly ports: Ports;
  readonly log: Log;
  readonly wake: () => void;
  readonly failed: (error: EscapementError) => void;
}

export function beginRun(run: TaskRunOptions): TaskRun {
  const { plan, subTopology, names, stores, committed, options, fetcher, wake } = run;
  const scope = new StepScope(options);
  const context = new TaskContext(plan.partition, scope);
  connectStores(context, run, scope);
  let staged: StagedExecution | null = null;
  const graph = compileGraph({
    nodes: subTopology.nodes,
    stages: subTopology.stages,
    context,
    outputTopic: (node) => outputTopic(scope, names, names.of(node)),
    defer: (target, record) => staged!.defer(target, record),
  });
  const progress = new Progress(plan.inputs, committed.offsets, committed.times);
  const parts: ExecutionParts = {
    task: plan.id,
    graph,
    context,
    scope,
    stores: stores.all,
    time: new StreamTime(committed.times),
    progress,
    policies: new RecordPolicies(plan.id, run.log, (name) => outputTopic(scope, names, name)),
  };
  if (graph.stageCount > 1) staged = stagedExecution(run, parts);
  const execution = staged ?? new SerialExecution(parts);
  const feeds = plan.inputs.map(({ topic, partition }, i) => {
    const { outOfRange = 'fail' } = sourceOf(graph, names, topic).node;
    return fetcher.add(topic, partition, committed.offsets[i]!, outOfRange);
  });
  /** Where reading went on behind a used-up chunk, of each input. */
  const passed = feeds.map(() => 0);
  const queue = new RecordQueue({
    entries: feeds.map((feed) => {
      const { node, process } = sourceOf(graph, names, feed.topic);
      const name = storeOfKeys(node, subTopology.nodes);
      const lookAhead = name === null ? null : new LookAhead(stores.keyValue.get(name)!);
      return { source: node, process, feed, lookAhead };
    }),
    headerLimits: options,
    passed: (index, offset) => {
      passed[index] = offset;
      // Slots still under way come first: they move the offset at their release.
      if (execution.unreleased === 0) progress.skipTo(index, offset);
    },
    prepareFailed: run.failed,
    ports: run.ports,
    log: run.log,
    wake,
  });
  return {
    execution,
    queue,
    scope,
    progress,
    feeds,
    catchUp() {
      if (execution.unreleased > 0) return;
      for (let i = 0; i < passed.length; i += 1) progress.skipTo(i, passed[i]!);
    },
    close() {
      execution.cancel();
      queue.close();
      for (const feed of feeds) fetcher.remove(feed);
    },
  };
}

function connectStores(context: TaskContext, run: TaskRunOptions, scope: StepScope): void {
  const { names, stores } = run;
  for (const [name, store] of stores.keyValue) {
    const changelog = outputTopic(scope, names, names.changelog(name));
    context.keyValueStores.set(name, { store, changelog });
  }
  for (const [name, store] of stores.window) {
    const changelog = outputTopic(scope, names, names.changelog(name));
    context.windowStores.set(name, { store, changelog });
  }
}

function outputTopic(scope: StepScope, names: TopicNames, topic: string) {
  return scope.topic(topic, names.partitions(topic));
}

function sourceOf(graph: Graph, names: TopicNames, topic: string) {
  for (const entry of graph.entries.values()) {
    if (names.of(entry.node) === topic) return entry;
  }
  invariant(false, 'no source reads a topic of the task', { topic });
}

function stagedExecution(run: TaskRunOptions, parts: ExecutionParts): StagedExecution {
  return new StagedExecution({
    parts,
    ports: run.ports,
    windowMax: run.options.asyncWindowMax,
    storesByStage: run.stores.byStage,
    speakers: speakersOf(run.subTopology.nodes, parts.graph),
    wake: run.wake,
  });
}

/** Segments that emit although nothing reached them (`toArray`, `defaultIfEmpty`). */
function speakersOf(nodes: readonly TopologyNode[], graph: Graph): readonly Speaker[] {
  const speaking = (node: TopologyNode): node is SegmentNode =>
    node.kind === 'segment' && node.speaksOnEmpty;
  const above = new Map<string, ReadonlySet<string>>();
  for (const { id, kind, parents } of nodes) {
    const sources = parents.flatMap((parent) => [...above.get(parent)!]);
    above.set(id, new Set(kind === 'source' ? [id] : sources));
  }
  return nodes.filter(speaking).map((node) => ({
    target: graph.targetOf(node),
    sources: above.get(node.id)!,
  }));
}
