/** Removes a consumer group with its offsets. */
import { isPassing, repeat } from '../cluster/attempts.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { deleteGroups } from '../protocol/delete-groups.ts';
import { brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';

/** A group that does not exist is passed over; one with members is refused (NON_EMPTY_GROUP). */
export async function deleteGroup(cluster: Cluster, groupId: string): Promise<void> {
  const attempts = { ports: cluster.ports, timeoutMs: cluster.requestTimeoutMs };
  await repeat(attempts, async () => {
    const node = await cluster.coordinator('group', groupId);
    try {
      const body = { groupsNames: [groupId] };
      const answer = await cluster.send(node, deleteGroups, body, { lane: 'transaction' });
      const code = answer.results[0]?.errorCode ?? -1;
      if (code === 0 || code === KafkaErrorCode.GROUP_ID_NOT_FOUND) return;
      throw brokerError(code, `DeleteGroups of '${groupId}'`);
    } catch (error) {
      if (isPassing(error)) cluster.forgetCoordinator('group', groupId);
      throw error;
    }
  });
}
