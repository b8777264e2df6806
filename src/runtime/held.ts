/**
 * What keeps a task from being ours although its older epochs are fenced: a transaction that nobody
 * ends, on its changelog or on its committed offsets. Waiting cannot mend it, so its owner is told.
 */
import { EscapementError } from '../errors.ts';
import { openTransactions } from '../kafka/admin/transactions.ts';
import type { Cluster } from '../kafka/cluster/cluster.ts';
import type { EndOffsets } from '../kafka/fetch/end-offsets.ts';
import type { BrokerError } from '../kafka/protocol/error-codes.ts';
import type { TopicPartition } from '../kafka/topic-partition.ts';
import type { TaskPlan } from './task-plan.ts';

/** Who holds a changelog, and how to end it. */
export async function heldChangelog(
  cluster: Cluster,
  task: string,
  { topic, partition }: TopicPartition,
  { lastStableOffset, highWatermark }: EndOffsets,
): Promise<EscapementError> {
  const offset = lastStableOffset;
  const holders = await openTransactions(cluster, topic, partition).catch(() => []);
  const names = holders.map(
    ({ producerId, firstOffset }) => `${producerId} (since ${firstOffset})`,
  );
  const who = names.length === 0 ? 'not told by the broker' : names.join(', ');
  return new EscapementError(
    'CHANGELOG_HELD',
    `The changelog ${topic}-${partition} of task ${task} is held by a foreign transaction since ` +
      `offset ${offset} (the log ends at ${highWatermark}). Producer id: ${who}. When its owner is ` +
      'gone, end it with `admin.hangingTransactions` and `admin.abortHanging`, or with ' +
      `'kafka-transactions.sh abort --topic ${topic} --partition ${partition} --start-offset ${offset}'.`,
    { at: { task, topic, partition, offset } },
  );
}

/**
 * Our own transaction was ended by InitProducerId, markers included, before the offsets were read:
 * what still holds them is one whose markers the coordinator never wrote, as Kafka 4.3.0 and 4.3.1
 * do when a partition has no leader at that moment (KAFKA-20734).
 */
export function heldOffsets(plan: TaskPlan, groupId: string, cause: BrokerError): EscapementError {
  const names = plan.inputs.map(({ topic, partition }) => `${topic}-${partition}`).join(', ');
  return new EscapementError(
    'OFFSETS_HELD',
    `The committed offsets of task ${plan.id} (group '${groupId}', ${names}) are held by a ` +
      'transaction that no coordinator ends. Find it with ' +
      "`admin.hangingTransactions('__consumer_offsets')` or 'kafka-transactions.sh find-hanging', and " +
      'in the same way what it left open in outputs and changelogs; docs/operating.md says how to ' +
      `end it. ${cause.message}`,
    { cause, decision: 'stop', at: { task: plan.id, ...plan.inputs[0] } },
  );
}
