/**
 * Restoring a store: its changelog partition, read to a given end, straight into the table.
 *
 * Called by the task's assignment (step 5), before the task runs. The range and its end are found
 * there; this file knows the record layouts alone.
 *
 * I1. The store holds committed rows only, before and after: a restore has no undo.
 * I2. Per row nothing is allocated: the cursor points into the response, the table copies.
 * I3. The position reached is exactly the end asked for, or an error.
 */
import { EscapementError, invariant } from '../errors.ts';
import { type ReadRange, readRange } from '../kafka/fetch/read-range.ts';
import { murmur2 } from '../kafka/records/murmur2.ts';
import type { FetchedRecords } from '../kafka/records/parse-fetched.ts';
import { RecordCursor } from '../kafka/records/record-cursor.ts';
import { WINDOW_TRAILER_BYTES, windowSequenceOf, windowStartOf } from './changelog.ts';
import type { KeyValueStore } from './key-value-store.ts';
import type { Restoring } from './staged.ts';
import { WindowStore } from './window-store.ts';

export interface RestoreSpec {
  readonly store: KeyValueStore | WindowStore;
  readonly topic: string;
  readonly partition: number;
  /** Position of the store's content; 0 for an empty store. */
  readonly from: number;
  /** The changelog's end. */
  readonly to: number;
  /** `partitionTrailerBytes` of the key's serde: bytes at a key's end that its hash leaves out. */
  readonly partitionTrailerBytes?: number;
}

export interface Restored {
  /** Changelog records applied. */
  readonly restored: number;
  readonly position: number;
}

/** Restores from the broker, committed records only. */
export function restoreStore(
  options: RestoreSpec & Pick<ReadRange, 'cluster' | 'decompressedBytesMax'>,
): Promise<Restored> {
  const chunks = readRange({ ...options, isolation: 'read_committed' });
  return restoreFrom(options, chunks);
}

/** Restores from chunks of the changelog that begin at `from`, in order. */
export async function restoreFrom(
  spec: RestoreSpec,
  chunks: AsyncIterable<FetchedRecords>,
): Promise<Restored> {
  const { store, topic, partition, from, to } = spec;
  store.assertRestorable();
  if (from >= to) return { restored: 0, position: from };
  const restoring: Restoring = { topic, partition, position: from, to };
  store.restoring = restoring;
  try {
    const restored = await applyChunks(spec, chunks, restoring);
    const { position } = restoring;
    invariant(position >= to, 'a changelog ended before its end offset', {
      topic,
      partition,
      position,
      to,
    });
    return { restored, position: to };
  } finally {
    store.restoring = null;
  }
}

/** Returns the records applied; the position is moved with each chunk. */
async function applyChunks(
  spec: RestoreSpec,
  chunks: AsyncIterable<FetchedRecords>,
  restoring: Restoring,
): Promise<number> {
  const { store, to } = spec;
  const cursor = new RecordCursor();
  let restored = 0;
  for await (const chunk of chunks) {
    cursor.load(chunk);
    restored +=
      store instanceof WindowStore
        ? restoreWindows(spec, store, cursor)
        : restoreKeyValues(spec, store, cursor);
    restoring.position = chunk.nextOffset;
    if (chunk.nextOffset >= to) break;
  }
  return restored;
}

function restoreKeyValues(spec: RestoreSpec, store: KeyValueStore, cursor: RecordCursor): number {
  const { to, partitionTrailerBytes = 0 } = spec;
  let restored = 0;
  while (cursor.next()) {
    const { buffer, keyStart, keyEnd, valueStart, valueEnd } = cursor;
    if (cursor.offset >= to) break;
    if (keyStart < 0) refuse(spec, cursor.offset, 'has no key');
    const hash = murmur2(buffer, keyStart, keyEnd - partitionTrailerBytes);
    if (valueStart < 0) store.restoreRemove(buffer, keyStart, keyEnd, hash);
    else {
      const { timestamp } = cursor;
      store.restorePut(buffer, keyStart, keyEnd, hash, buffer, valueStart, valueEnd, timestamp);
    }
    restored += 1;
  }
  return restored;
}

function restoreWindows(spec: RestoreSpec, store: WindowStore, cursor: RecordCursor): number {
  const { to, partitionTrailerBytes = 0 } = spec;
  let restored = 0;
  while (cursor.next()) {
    const { buffer, keyStart, valueStart, valueEnd } = cursor;
    if (cursor.offset >= to) break;
    const keyEnd = cursor.keyEnd - WINDOW_TRAILER_BYTES;
    const windowStart = checkedStart(spec, cursor);
    const hash = murmur2(buffer, keyStart, keyEnd - partitionTrailerBytes);
    if (valueStart < 0) store.restoreRemove(windowStart, buffer, keyStart, keyEnd, hash);
    else {
      const { timestamp } = cursor;
      store.restorePut(
        windowStart,
        buffer,
        keyStart,
        keyEnd,
        hash,
        buffer,
        valueStart,
        valueEnd,
        timestamp,
      );
    }
    restored += 1;
  }
  return restored;
}

/** The window start of a record that has the layout of a window store's changelog. */
function checkedStart(spec: RestoreSpec, cursor: RecordCursor): number {
  const { buffer, keyStart, keyEnd, offset } = cursor;
  if (keyStart < 0) refuse(spec, offset, 'has no key');
  const bytes = keyEnd - keyStart;
  if (bytes < WINDOW_TRAILER_BYTES) {
    refuse(spec, offset, `has a key of ${bytes} bytes, less than a window start and a sequence`);
  }
  const windowStart = windowStartOf(buffer, keyEnd);
  if (windowStart < 0 || !Number.isSafeInteger(windowStart)) {
    refuse(spec, offset, `has the window start ${windowStart}, which is no time`);
  }
  const sequence = windowSequenceOf(buffer, keyEnd);
  if (sequence !== 0) {
    refuse(spec, offset, `has the sequence ${sequence}, but its store keeps one row per window`);
  }
  return windowStart;
}

function refuse(spec: RestoreSpec, offset: number, what: string): never {
  const { topic, partition, store } = spec;
  const kind = store instanceof WindowStore ? 'window' : 'key-value';
  throw new EscapementError(
    'CHANGELOG_CORRUPT',
    `Record ${topic}-${partition}@${offset} ${what}: it does not have the layout of a ${kind} ` +
      'store. Did another application write into the changelog, or did the store change its type?',
    { at: { topic, partition, offset } },
  );
}
