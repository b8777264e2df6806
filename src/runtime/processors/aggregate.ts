/** `count` and `aggregate`: one row per key in a key-value store, every update emitted. */
import { EscapementError } from '../../errors.ts';
import { calledBy } from '../../topology/check.ts';
import type { AggregateNode, AnyRec, TopologyNode } from '../../topology/node.ts';
import type { Process, TaskContext } from '../context.ts';
import { EncodedKey } from './encoded-key.ts';
import { EncodedValue } from './encoded-value.ts';
import { Fold } from './fold.ts';

/**
 * The result's time is the latest of its inputs (Kafka Streams: KTableAggregate). A result of null
 * or undefined deletes the row and emits a tombstone.
 */
export function aggregateProcess(
  context: TaskContext,
  node: AggregateNode,
  forward: Process,
): Process {
  const { store, changelog } = context.keyValueStores.get(node.store)!;
  const key = new EncodedKey({ node });
  const value = new EncodedValue({ node, maker: node });
  const fold = new Fold(node);
  return (record) => {
    key.of(record);
    if (key.buffer === null) refuseNullKey(node);
    const found = store.find(key.buffer!, key.start, key.end, key.hash);
    let timestamp = record.timestamp;
    let aggregate: unknown;
    if (found) {
      if (store.timestamp > timestamp) timestamp = store.timestamp;
      aggregate = fold.value(store.valueBuffer, store.valueStart, store.valueEnd);
    } else {
      aggregate = fold.init();
    }
    const next = fold.add(aggregate, record);
    value.ofValue(next);
    if (value.buffer === null) {
      store.remove(key.buffer!, key.start, key.end, key.hash);
    } else {
      store.put(
        key.buffer!,
        key.start,
        key.end,
        key.hash,
        value.buffer,
        value.start,
        value.end,
        timestamp,
      );
    }
    context.effects.append(
      changelog,
      context.partition,
      timestamp,
      key.buffer,
      key.start,
      key.end,
      value.buffer,
      value.start,
      value.end,
      null,
    );
    forward(record.withValueAt(next, timestamp));
  };
}

export function hasNullKey(record: AnyRec): boolean {
  if (record.keyBuffer !== null) return record.keyStart < 0;
  const key: unknown = record.key;
  return key === null || key === undefined;
}

/**
 * Kafka Streams drops a record without a key here and counts it; here it is a record error, so that
 * nothing is lost unless the source's policy says so.
 */
export function refuseNullKey(node: TopologyNode): never {
  const { id } = node;
  throw new EscapementError(
    'RECORD_FAILED',
    `${calledBy(node)} needs a key, and the record has none: filter such records, or give them a ` +
      `key with selectKey() and repartition().`,
    { at: { node: id } },
  );
}
