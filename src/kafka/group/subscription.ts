/**
 * What members of a group tell one another: Kafka's consumer protocol, versions 0 to 3.
 *
 * The outer messages are the standard ones, so that the broker knows which topics are read (it would
 * expire the offsets of others) and ordinary tools show who owns which partition. Our own content
 * travels as their user data (`member-words.ts`).
 */
import { EscapementError } from '../../errors.ts';
import type { TopicPartition } from '../topic-partition.ts';
import { ByteReader, ByteWriter } from './protocol-bytes.ts';

export interface Subscription {
  readonly topics: readonly string[];
  readonly userData: Buffer | null;
  /** Since version 1. */
  readonly ownedPartitions: readonly TopicPartition[];
  /** Since version 2; -1: none. */
  readonly generation: number;
  /** Since version 3. */
  readonly rackId: string | null;
}

export interface Assignment {
  readonly partitions: readonly TopicPartition[];
  readonly userData: Buffer | null;
}

type Version = 0 | 1 | 2 | 3;
const VERSION_MAX = 3;

export function encodeSubscription(version: Version, subscription: Subscription): Buffer {
  const { topics, userData, ownedPartitions, generation, rackId } = subscription;
  const writer = new ByteWriter().int16(version);
  writer.array(topics, (topic) => writer.string(topic)).bytes(userData);
  if (version >= 1) writePartitions(writer, ownedPartitions);
  if (version >= 2) writer.int32(generation);
  if (version >= 3) writer.string(rackId);
  return writer.done();
}

/** Reads what this version knows; a later version only adds fields. */
export function decodeSubscription(buffer: Buffer): Subscription {
  const reader = new ByteReader(buffer);
  const version = versionOf(reader);
  const topics = reader.array(() => reader.string());
  const userData = reader.bytes();
  const ownedPartitions = version >= 1 ? readPartitions(reader) : [];
  const generation = version >= 2 ? reader.int32() : -1;
  const rackId = version >= 3 ? reader.nullableString() : null;
  return { topics, userData, ownedPartitions, generation, rackId };
}

export function encodeAssignment(version: Version, assignment: Assignment): Buffer {
  const writer = new ByteWriter().int16(version);
  writePartitions(writer, assignment.partitions);
  return writer.bytes(assignment.userData).done();
}

/** No bytes at all: the leader has nothing for this member. */
export function decodeAssignment(buffer: Buffer): Assignment {
  if (buffer.length === 0) return { partitions: [], userData: null };
  const reader = new ByteReader(buffer);
  versionOf(reader);
  return { partitions: readPartitions(reader), userData: reader.bytes() };
}

function versionOf(reader: ByteReader): number {
  const version = reader.int16();
  if (version < 0) {
    throw new EscapementError('PROTOCOL_MALFORMED', `Group metadata has version ${version}.`);
  }
  return Math.min(version, VERSION_MAX);
}

function writePartitions(writer: ByteWriter, partitions: readonly TopicPartition[]): void {
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of partitions) {
    const known = topics.get(topic);
    if (known === undefined) topics.set(topic, [partition]);
    else known.push(partition);
  }
  writer.array([...topics], ([topic, numbers]) => {
    writer.string(topic).array(numbers, (partition) => writer.int32(partition));
  });
}

function readPartitions(reader: ByteReader): TopicPartition[] {
  const topics = reader.array(() => {
    const topic = reader.string();
    return reader.array(() => ({ topic, partition: reader.int32() }));
  });
  return topics.flat();
}
