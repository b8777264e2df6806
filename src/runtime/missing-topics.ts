/**
 * Topics of a running task that somebody deleted.
 *
 * A broker says of a topic that it does not know also while the metadata of a new one spreads, so
 * the failure itself passes. What is still unknown after the time of a lookup is gone: trying again
 * would fail for ever, and the owner of the cluster has to be told.
 */
import { EscapementError } from '../errors.ts';
import type { Cluster, TopicState } from '../kafka/cluster/cluster.ts';
import { Late } from '../kafka/producer/exchange.ts';
import { BrokerError, KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Log } from '../telemetry/log.ts';
import { type ApplicationPlan, deadLetterTopics } from './application-plan.ts';

export interface Search {
  readonly cluster: Cluster;
  readonly plan: ApplicationPlan;
  readonly task: string;
  readonly log: Log;
  /** Whether anybody still waits for the result. */
  readonly isWanted: () => boolean;
}

const PAUSE_FIRST_MS = 20;
const PAUSE_MOST_MS = 1_000;

/** Whether a topic that is gone may be behind a failure: a broker said so, or no leader was found in time. */
export function mayBeGone(error: unknown): error is EscapementError {
  for (let cause = error; cause instanceof EscapementError; cause = cause.cause) {
    if (cause instanceof Late && cause.at.topic !== undefined) return true;
    if (!(cause instanceof BrokerError)) continue;
    if (cause.kafkaCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION) return true;
  }
  return false;
}

/**
 * Looks for the topics of a task until all are there (`null`), or the time of a lookup is over: then
 * `TOPIC_MISMATCH`, which names those that are gone. Never rejects: without an answer nothing is known
 * to be gone.
 */
export async function findTopics(search: Search): Promise<EscapementError | null> {
  const { cluster, plan, task, log, isWanted } = search;
  const { clock, timers } = cluster.ports;
  const uses = topicsOf(plan, task);
  const deadline = clock.monotonic() + cluster.lookups.timeoutMs;
  for (let pause = PAUSE_FIRST_MS; ; pause = Math.min(pause * 2, PAUSE_MOST_MS)) {
    const found = await cluster.topics([...uses.keys()]).catch(() => null);
    if (found === null || !isWanted()) return null;
    const gone = [...uses.keys()].filter((topic) => !isWhole(plan, topic, found));
    if (gone.length === 0) return null;
    if (pause === PAUSE_FIRST_MS) log.warn({ task, topics: gone }, 'topics are missing');
    if (clock.monotonic() >= deadline) return goneError(plan, task, gone);
    await timers.sleep(pause);
  }
}

/** `topics`: at least one, which the task reads or writes. */
export function goneError(
  plan: ApplicationPlan,
  task: string,
  topics: readonly string[],
): EscapementError {
  const uses = topicsOf(plan, task);
  const named = topics.map((topic) => `'${topic}' (${uses.get(topic) ?? 'used'})`).join(', ');
  return new EscapementError(
    'TOPIC_MISMATCH',
    `Task ${task} cannot go on: ${named} does not exist any more, or has fewer partitions than ` +
      `when the application started. Whether it may be created again, and what is lost, says ` +
      `"Topics that are gone" in docs/operating.md.`,
    { at: { task, topic: topics[0]! } },
  );
}

function isWhole(
  { names }: ApplicationPlan,
  topic: string,
  found: ReadonlyMap<string, TopicState>,
): boolean {
  return (found.get(topic)?.partitions ?? 0) >= names.partitions(topic);
}

/** What a task uses, and for what. */
function topicsOf(plan: ApplicationPlan, id: string): ReadonlyMap<string, string> {
  const { inputs, changelogs } = plan.task(id);
  const uses = new Map<string, string>();
  for (const node of plan.subTopologyOf(id).nodes) {
    if (node.kind === 'sink' || node.kind === 'repartition')
      uses.set(plan.names.of(node), 'written');
    if (node.kind !== 'source') continue;
    for (const topic of deadLetterTopics(node.onError)) uses.set(topic, 'dead letters');
  }
  for (const { topic } of changelogs) uses.set(topic, 'changelog');
  for (const { topic } of inputs) uses.set(topic, 'read');
  return uses;
}
