/**
 * Which right a request lacked, from the code of its refusal: the broker names neither.
 *
 * Source: the authorisation of each request in Kafka's KafkaApis and group coordinator, 3.3 to 4.3.
 */
import type { Coordinates } from '../../errors.ts';
import { ERROR_TABLE } from './error-table.ts';

const TOPIC_RIGHTS: Readonly<Record<string, string>> = {
  Metadata: 'Describe',
  ListOffsets: 'Describe',
  OffsetFetch: 'Describe',
  Fetch: 'Read',
  TxnOffsetCommit: 'Read',
  OffsetCommit: 'Read',
  OffsetDelete: 'Read',
  DescribeProducers: 'Read',
  Produce: 'Write',
  AddPartitionsToTxn: 'Write',
  CreateTopics: 'Create',
  DeleteTopics: 'Delete',
  DeleteRecords: 'Delete',
  DescribeConfigs: 'DescribeConfigs',
};

const GROUP_RIGHTS: Readonly<Record<string, string>> = {
  FindCoordinator: 'Describe',
  OffsetFetch: 'Describe',
  DescribeGroups: 'Describe',
  DeleteGroups: 'Delete',
  OffsetDelete: 'Delete',
};

const CLUSTER_RIGHTS: Readonly<Record<string, string>> = {
  InitProducerId: 'IdempotentWrite',
  Produce: 'IdempotentWrite',
  CreateTopics: 'Create',
  ListGroups: 'Describe',
  WriteTxnMarkers: 'ClusterAction',
};

/**
 * `Write on topic 'out'`, or null when the code is not one of a missing right. `what` begins with the
 * name of the request and quotes the group or transactional id that it was about.
 */
export function rightNeeded(code: number, what: string, at: Coordinates): string | null {
  const request = /^\w+/.exec(what)?.[0] ?? '';
  const quoted = (kind: string): string =>
    (new RegExp(`${kind} '([^']*)'`).exec(what) ?? /'([^']*)'/.exec(what))?.[1] ?? '?';
  switch (code) {
    case ERROR_TABLE.TOPIC_AUTHORIZATION_FAILED[0]: {
      return `${TOPIC_RIGHTS[request] ?? 'a right'} on topic '${at.topic ?? quoted('topic')}'`;
    }
    case ERROR_TABLE.GROUP_AUTHORIZATION_FAILED[0]:
      return `${GROUP_RIGHTS[request] ?? 'Read'} on group '${quoted('group')}'`;
    case ERROR_TABLE.TRANSACTIONAL_ID_AUTHORIZATION_FAILED[0]: {
      const describes = request === 'FindCoordinator' || request === 'DescribeTransactions';
      return `${describes ? 'Describe' : 'Write'} on transactional id '${quoted('transaction')}'`;
    }
    case ERROR_TABLE.CLUSTER_AUTHORIZATION_FAILED[0]:
      return `${CLUSTER_RIGHTS[request] ?? 'ClusterAction'} on the cluster`;
    default:
      return null;
  }
}
