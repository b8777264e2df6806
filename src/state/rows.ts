/**
 * Reading whole tables: copies of rows in the order of their keys' bytes, staged or committed.
 *
 * Called by the stores. A table must not be written while its rows are read: consume at once.
 */
import { invariant } from '../errors.ts';
import type { FlatTable } from './flat-table.ts';
import type { Row } from './staged.ts';
import type { OldRow, Staging } from './staging.ts';
import { ABSENT, BLOCK } from './undo-log.ts';

/** The rows of a table as they were written last. */
export function stagedRows(table: FlatTable): Generator<Row, void, undefined> {
  return rowsAt(table, table.sortedRefs());
}

/** The rows of a table without what is not committed. */
export function* committedRows(
  table: FlatTable,
  staging: Staging,
  target: number,
): Generator<Row, void, undefined> {
  const old = staging.committedEntries(target);
  if (old.size === 0) {
    yield* stagedRows(table);
    return;
  }
  const oldRows: Row[] = [];
  for (const entry of old.values()) {
    const row = oldRow(table, staging, entry);
    if (row !== null) oldRows.push(row);
  }
  oldRows.sort((a, b) => Buffer.compare(a.key, b.key));
  const untouched = table.sortedRefs().filter((ref) => !old.has(keyText(table, ref)));
  let next = 0;
  for (const row of rowsAt(table, untouched)) {
    for (; next < oldRows.length; next += 1) {
      const before = oldRows[next]!;
      if (Buffer.compare(before.key, row.key) > 0) break;
      yield before;
    }
    yield row;
  }
  for (; next < oldRows.length; next += 1) yield oldRows[next]!;
}

/** A copy of the row in an undo entry; null when there was none. */
function oldRow(table: FlatTable, staging: Staging, { log, at }: OldRow): Row | null {
  const state = log.stateAt(at);
  if (state === ABSENT) return null;
  const key = staging.keyOf(log, at);
  if (state === BLOCK) return copyOf(table);
  return {
    key: Buffer.from(key.bytes.subarray(key.start, key.end)),
    value: Buffer.from(log.bytes.subarray(key.end, key.end + state)),
    timestamp: log.timestampAt(at),
  };
}

function* rowsAt(table: FlatTable, refs: readonly number[]): Generator<Row, void, undefined> {
  const { writes } = table;
  for (const ref of refs) {
    invariant(table.writes === writes, 'a store was written while its rows were read');
    table.read(ref);
    yield copyOf(table);
  }
}

function keyText(table: FlatTable, ref: number): string {
  table.read(ref);
  return table.valueBuffer.toString('latin1', table.keyStart, table.valueStart);
}

/** A copy of the row that was read last. */
function copyOf(table: FlatTable): Row {
  const { valueBuffer, valueStart, valueEnd, timestamp, keyStart } = table;
  return {
    key: Buffer.from(valueBuffer.subarray(keyStart, valueStart)),
    value: Buffer.from(valueBuffer.subarray(valueStart, valueEnd)),
    timestamp,
  };
}
