/** Every record of a fetch as the cursor hands it out, as objects. */
import { readHeaders } from '../../../src/kafka/records/headers.ts';
import {
  type FetchedRecords,
  type FetchOptions,
  parseFetched,
} from '../../../src/kafka/records/parse-fetched.ts';
import { RecordCursor } from '../../../src/kafka/records/record-cursor.ts';
import type { LoggedRecord } from './log-bytes.ts';

export function recordsOf(fetched: FetchedRecords): LoggedRecord[] {
  const cursor = new RecordCursor();
  cursor.load(fetched);
  const records: LoggedRecord[] = [];
  while (cursor.next()) {
    const text = (start: number, end: number): string | null =>
      start < 0 ? null : cursor.buffer.toString('utf8', start, end);
    records.push({
      offset: cursor.offset,
      timestamp: cursor.timestamp,
      key: text(cursor.keyStart, cursor.keyEnd),
      value: text(cursor.valueStart, cursor.valueEnd),
      headers: readHeaders(cursor.buffer, cursor.headersStart, cursor.headerCount).map(
        ({ key, value }) => ({ key, value: value === null ? null : value.toString() }),
      ),
    });
  }
  return records;
}

export function fetchFrom(
  log: Buffer,
  options: Partial<FetchOptions> = {},
): { readonly values: (string | null)[]; readonly offsets: number[]; readonly nextOffset: number } {
  const fetched = parseFetched(log, {
    fetchOffset: 0,
    isolation: 'read_committed',
    abortedTransactions: null,
    ...options,
  });
  const records = recordsOf(fetched);
  return {
    values: records.map(({ value }) => value),
    offsets: records.map(({ offset }) => offset),
    nextOffset: fetched.nextOffset,
  };
}
