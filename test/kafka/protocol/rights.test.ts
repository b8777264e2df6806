import { describe, expect, it } from 'vitest';
import { APIS } from '../../../src/kafka/protocol/apis.ts';
import { brokerError, KafkaErrorCode } from '../../../src/kafka/protocol/error-codes.ts';

const { TOPIC_AUTHORIZATION_FAILED: TOPIC, GROUP_AUTHORIZATION_FAILED: GROUP } = KafkaErrorCode;
const { TRANSACTIONAL_ID_AUTHORIZATION_FAILED: ID, CLUSTER_AUTHORIZATION_FAILED: CLUSTER } =
  KafkaErrorCode;

describe('a refusal for lack of a right', () => {
  it.each([
    [TOPIC, "Metadata of topic 'in'", 'Describe on topic'],
    [TOPIC, 'Fetch of in-0 at offset 3', 'Read on topic'],
    [TOPIC, "TxnOffsetCommit of group 'app' (in-0)", 'Read on topic'],
    [TOPIC, "AddPartitionsToTxn of transaction 'app-a-0' (in-0)", 'Write on topic'],
    [TOPIC, "Produce of transaction 'app-a-0' (in-0)", 'Write on topic'],
    [TOPIC, "CreateTopics of 'in' (no)", 'Create on topic'],
    [TOPIC, 'DeleteRecords of in-0 before 3', 'Delete on topic'],
    [TOPIC, "DescribeConfigs of 'in'", 'DescribeConfigs on topic'],
  ])('%i on %s names %s', (code, what, right) => {
    const error = brokerError(code, what, { topic: 'in', partition: 0 });
    expect(error.message).toContain(`${what} needs ${right} 'in': TOPIC_AUTHORIZATION_FAILED (29)`);
    expect(error.code).toBe('NOT_AUTHORIZED');
  });

  it.each([
    [GROUP, "JoinGroup of group 'app' as instance 'one'", "Read on group 'app'"],
    [GROUP, "AddOffsetsToTxn of transaction 'x' for group 'app'", "Read on group 'app'"],
    [ID, "TxnOffsetCommit of group 'app' in transaction 'x'", "Write on transactional id 'x'"],
    [GROUP, "FindCoordinator for group 'app'", "Describe on group 'app'"],
    [GROUP, "OffsetFetch of group 'app' for in-0", "Describe on group 'app'"],
    [GROUP, "DeleteGroups of 'app'", "Delete on group 'app'"],
    [ID, "FindCoordinator for transaction 'app-a-0'", "Describe on transactional id 'app-a-0'"],
    [ID, "InitProducerId of transaction 'app-a-0'", "Write on transactional id 'app-a-0'"],
    [ID, "EndTxn of transaction 'app-a-0'", "Write on transactional id 'app-a-0'"],
    [CLUSTER, "InitProducerId of transaction 'x'", 'IdempotentWrite on the cluster'],
    [CLUSTER, 'WriteTxnMarkers of producer id 3', 'ClusterAction on the cluster'],
  ])('%i on %s names %s', (code, what, right) => {
    expect(brokerError(code, what).message).toContain(`${what} needs ${right}: `);
  });

  it('is told from every other error, and knows requests by names that exist', () => {
    expect(brokerError(KafkaErrorCode.NOT_COORDINATOR, "EndTxn of 'x'").message).not.toMatch(
      /needs/,
    );
    const names = new Set([...APIS.values()].map(({ name }) => name));
    for (const name of ['Metadata', 'Fetch', 'TxnOffsetCommit', 'AddPartitionsToTxn', 'Produce']) {
      expect(names).toContain(name);
    }
  });
});
