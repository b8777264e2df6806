/** Writes records to a topic: a sink of the user, or the write side of a repartition topic. */
import { partitionOf } from '../../kafka/records/murmur2.ts';
import type { MapValuesNode, RepartitionNode, SinkNode } from '../../topology/node.ts';
import type { OutputTopic } from '../../transaction/scope.ts';
import type { Process, TaskContext } from '../context.ts';
import { userError } from '../operator-error.ts';
import { EncodedKey } from './encoded-key.ts';
import { EncodedValue } from './encoded-value.ts';

/**
 * Partition by Java's murmur2 of the key bytes, as Kafka's default partitioner does. A record
 * without a key goes to the partition with its input's number: the same one on every replay, where
 * Kafka Streams picks any.
 */
export function sinkProcess(
  context: TaskContext,
  topic: OutputTopic,
  node: SinkNode | RepartitionNode,
): Process {
  const value = new EncodedValue({ node });
  const write = writer(context, topic, new EncodedKey({ node }), value);
  return (record) => {
    value.of(record);
    write(record);
  };
}

/** `mapValues` and a sink behind it in one: the record in between, which nobody sees, is not made. */
export function mappedSinkProcess(
  context: TaskContext,
  topic: OutputTopic,
  node: SinkNode,
  maker: MapValuesNode,
): Process {
  const value = new EncodedValue({ node, maker });
  const write = writer(context, topic, new EncodedKey({ node }), value);
  const { map } = maker;
  return (record) => {
    let mapped: unknown;
    try {
      mapped = map(record);
    } catch (cause) {
      throw userError(maker, cause);
    }
    value.ofValue(mapped);
    write(record);
  };
}

/** Writes a record with the value that was encoded last. */
function writer(
  context: TaskContext,
  topic: OutputTopic,
  key: EncodedKey,
  value: EncodedValue,
): Process {
  return (record) => {
    key.of(record);
    const partition =
      key.buffer === null
        ? record.meta.partition % topic.partitions
        : partitionOf(key.hash, topic.partitions);
    const headers = record.headers;
    context.effects.append(
      topic,
      partition,
      record.timestamp,
      key.buffer,
      key.start,
      key.end,
      value.buffer,
      value.start,
      value.end,
      headers.length === 0 ? null : headers,
    );
  };
}
