/**
 * `windowedAggregate`: one row per key and window, emitted on every update or once at the close.
 *
 * Rules of Kafka Streams (KStreamWindowAggregate, TimeWindows): windows are aligned to the epoch,
 * [start, end); a record takes part in a window while end + grace is after the stream time, its own
 * record counted; later it is late. The stream time here is the task's, which every record of its
 * partitions advances: an operator's own time, forgotten at a restart, would judge late records
 * differently after a crash (KAFKA-7994).
 */
import { WINDOW_TRAILER_BYTES, writeWindowKey } from '../../state/changelog.ts';
import type { AnyRec, WindowedAggregateNode } from '../../topology/node.ts';
import { Origin, Rec, Windowed } from '../../topology/record.ts';
import type { Process, TaskContext } from '../context.ts';
import { refuseNullKey } from './aggregate.ts';
import { EncodedKey } from './encoded-key.ts';
import { EncodedValue } from './encoded-value.ts';
import { Fold } from './fold.ts';

export interface WindowedAggregateProcess {
  readonly process: Process;
  /** Emits the windows that the slot's stream time closed; called once per slot, after its record. */
  readonly closeWindows: ((origin: Origin) => void) | null;
}

export function windowedAggregateProcess(
  context: TaskContext,
  node: WindowedAggregateNode,
  forward: Process,
  forwardLate: Process | null,
): WindowedAggregateProcess {
  const { store, changelog } = context.windowStores.get(node.store)!;
  const key = new EncodedKey({ node });
  const value = new EncodedValue({ node, maker: node });
  const fold = new Fold(node);
  const { sizeMs, advanceMs, graceMs } = node;
  let changelogKey = Buffer.allocUnsafe(256);

  function update(record: AnyRec, start: number): void {
    const found = store.find(start, key.buffer!, key.start, key.end, key.hash);
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
      store.remove(start, key.buffer!, key.start, key.end, key.hash);
    } else {
      store.put(
        start,
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
    const keyBytes = key.end - key.start + WINDOW_TRAILER_BYTES;
    if (changelogKey.length < keyBytes) changelogKey = Buffer.allocUnsafe(keyBytes * 2);
    const keyEnd = writeWindowKey(changelogKey, 0, key.buffer!, key.start, key.end, start);
    context.effects.append(
      changelog,
      context.partition,
      timestamp,
      changelogKey,
      0,
      keyEnd,
      value.buffer,
      value.start,
      value.end,
      null,
    );
    if (node.emit === 'update') {
      const windowed = new Windowed(record.key as unknown, start, start + sizeMs);
      forward(Rec.of(record.meta, timestamp, windowed, next));
    }
  }

  function process(record: AnyRec): void {
    key.of(record);
    if (key.buffer === null) refuseNullKey(node);
    // A value that cannot be decoded is a bad record, not a late one: look before judging.
    void record.value;
    const at = record.timestamp;
    const closesAt = context.streamTime - graceMs;
    let accepted = false;
    const first = Math.floor(Math.max(0, at - sizeMs + advanceMs) / advanceMs) * advanceMs;
    for (let start = first; start <= at; start += advanceMs) {
      if (start + sizeMs <= closesAt) continue;
      accepted = true;
      update(record, start);
    }
    if (accepted) return;
    if (forwardLate === null) context.lateDropped += 1;
    else forwardLate(record);
  }

  function closeWindows(origin: Origin): void {
    const from = closedStart(context.streamTimeBefore, sizeMs, graceMs);
    const to = closedStart(context.streamTime, sizeMs, graceMs);
    if (to <= from) return;
    for (const row of store.closedWindows(from, to)) {
      const rowKey = fold.key(row.key);
      const rowValue = fold.value(row.value, 0, row.value.length);
      const windowed = new Windowed(rowKey, row.windowStart, row.windowStart + sizeMs);
      const at = new Origin(origin.topic, origin.partition, origin.offset, row.timestamp, null);
      forward(Rec.of(at, row.timestamp, windowed, rowValue));
    }
  }

  return { process, closeWindows: node.emit === 'final' ? closeWindows : null };
}

/** The latest start of a window that is closed at a stream time; -Infinity when time is unknown. */
export function closedStart(streamTime: number, sizeMs: number, graceMs: number): number {
  return streamTime < 0 ? Number.NEGATIVE_INFINITY : streamTime - sizeMs - graceMs;
}
