/** Rule 21: a topic that is made again under its name is another topic. */
import { describe, expect, test } from 'vitest';
import { NO_TOPIC_ID } from '../../src/broker/topics.ts';
import { deleteTopics } from '../../src/kafka/protocol/delete-topics.ts';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { metadata } from '../../src/kafka/protocol/metadata.ts';
import { offsetCommit } from '../../src/kafka/protocol/offset-commit.ts';
import { offsetFetch } from '../../src/kafka/protocol/offset-fetch.ts';
import { produce } from '../../src/kafka/protocol/produce.ts';
import { batch, readBatches } from './batch.ts';
import { type Client, stage } from './client.ts';

function idOf(client: Client, name: string): string {
  const answer = client.ask(metadata, 12, { topics: [{ name }] });
  return answer.topics[0]!.topicId;
}

function produceTo(client: Client, topicId: string, value: string): number {
  const records = batch({ values: [value] });
  const answer = client.ask(produce, 13, {
    acks: -1,
    timeoutMs: 1_000,
    topicData: [{ topicId, partitionData: [{ index: 0, records }] }],
  });
  expect(answer.responses[0]!.topicId).toBe(topicId);
  return answer.responses[0]!.partitionResponses[0]!.errorCode;
}

function postFetch(client: Client, topicId: string, maxWaitMs = 0) {
  return client.post(fetch, 13, {
    maxWaitMs,
    minBytes: 1,
    topics: [
      { topicId, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 }] },
    ],
  });
}

function fetchFrom(client: Client, topicId: string) {
  const { responses } = postFetch(client, topicId).answers[0]!;
  expect(responses[0]!.topicId).toBe(topicId);
  const { errorCode, records } = responses[0]!.partitions[0]!;
  return { errorCode, values: readBatches(records).flatMap((each) => each.values) };
}

function remove(client: Client, name: string): void {
  client.ask(deleteTopics, 6, { topics: [{ name, topicId: NO_TOPIC_ID }], timeoutMs: 1_000 });
}

describe('rule 21: the id of a topic', () => {
  test('leads to it', () => {
    const { client } = stage();
    client.createTopic('t');
    const id = idOf(client, 't');
    expect(produceTo(client, id, 'x')).toBe(Code.NONE);
    expect(fetchFrom(client, id)).toEqual({ errorCode: Code.NONE, values: ['x'] });
  });

  test('does not lead to the topic that took its name', () => {
    const { client } = stage();
    client.createTopic('t');
    const before = idOf(client, 't');
    produceTo(client, before, 'old');
    remove(client, 't');
    client.createTopic('t');
    const after = idOf(client, 't');
    expect(after).not.toBe(before);
    expect(produceTo(client, before, 'late')).toBe(Code.UNKNOWN_TOPIC_ID);
    expect(fetchFrom(client, before)).toEqual({ errorCode: Code.UNKNOWN_TOPIC_ID, values: [] });
    expect(fetchFrom(client, after)).toEqual({ errorCode: Code.NONE, values: [] });
  });

  test('ends a fetch that waits when its topic goes, whatever takes the name', () => {
    const { client } = stage();
    client.createTopic('t');
    const id = idOf(client, 't');
    const waiting = postFetch(client, id, 60_000);
    expect(waiting.answers).toHaveLength(0);
    remove(client, 't');
    expect(waiting.answers[0]!.responses[0]!.partitions[0]!.errorCode).toBe(Code.UNKNOWN_TOPIC_ID);
  });

  test('is what offsets are committed and asked for by, and what their end is told by', () => {
    const { client } = stage();
    client.createTopic('t');
    const id = idOf(client, 't');
    const partitions = [{ partitionIndex: 0, committedOffset: 3, committedMetadata: '' }];
    const commit = (topicId: string) =>
      client.ask(offsetCommit, 10, {
        groupId: 'g',
        memberId: '',
        topics: [{ topicId, partitions }],
      }).topics[0]!.partitions[0]!.errorCode;
    const committed = (topicId: string) => {
      const asked = [{ groupId: 'g', topics: [{ topicId, partitionIndexes: [0] }] }];
      const { topics } = client.ask(offsetFetch, 10, { groups: asked }).groups[0]!;
      expect(topics[0]!.topicId).toBe(topicId);
      const { committedOffset, errorCode } = topics[0]!.partitions[0]!;
      return [errorCode, committedOffset];
    };
    expect(commit(id)).toBe(Code.NONE);
    expect(committed(id)).toEqual([Code.NONE, 3]);
    const all = client.ask(offsetFetch, 10, { groups: [{ groupId: 'g', topics: null }] });
    expect(all.groups[0]!.topics.map((topic) => topic.topicId)).toEqual([id]);
    remove(client, 't');
    client.createTopic('t');
    expect(commit(id)).toBe(Code.UNKNOWN_TOPIC_ID);
    expect(committed(id)).toEqual([Code.UNKNOWN_TOPIC_ID, -1]);
    expect(committed(idOf(client, 't'))).toEqual([Code.NONE, -1]);
  });
});
