/** Records as batches and back, by the code that production writes and reads them with. */
import { BatchWriter, type PendingBatch } from '../kafka/records/batch-writer.ts';
import { type Header, readHeaders } from '../kafka/records/headers.ts';
import { parseFetched } from '../kafka/records/parse-fetched.ts';
import { RecordCursor } from '../kafka/records/record-cursor.ts';
import { sealBatch } from '../kafka/records/seal-batch.ts';

export interface PlainRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestampMs: number;
  readonly headers: readonly Header[];
}

const NO_PRODUCER = { producerId: -1, producerEpoch: -1, baseSequence: -1 };

/** The records as a broker sends them, from that offset on. */
export function batchBytes(records: readonly PlainRecord[], baseOffset: number): Buffer {
  const writer = new BatchWriter({ batchBytesMax: Number.MAX_SAFE_INTEGER });
  for (const { key, value, timestampMs, headers } of records) {
    const [keyStart, keyEnd] = bounds(key);
    const [valueStart, valueEnd] = bounds(value);
    const given = headers.length === 0 ? null : headers;
    writer.append(timestampMs, key, keyStart, keyEnd, value, valueStart, valueEnd, given);
  }
  let offset = baseOffset;
  const batches = writer.take().map((pending) => {
    const bytes = Buffer.from(sealBatch(pending, { ...NO_PRODUCER, transactional: 'plain' }));
    bytes.writeBigInt64BE(BigInt(offset), 0);
    offset += pending.records;
    return bytes;
  });
  return Buffer.concat(batches);
}

function bounds(bytes: Buffer | null): readonly [number, number] {
  return bytes === null ? [-1, -1] : [0, bytes.length];
}

/** The records of a batch that a step writes. */
export function recordsOf(batch: PendingBatch): readonly PlainRecord[] {
  const sealed = sealBatch(batch, { ...NO_PRODUCER, transactional: 'plain' });
  const cursor = new RecordCursor();
  cursor.load(
    parseFetched(Buffer.from(sealed), {
      fetchOffset: 0,
      isolation: 'read_committed',
      abortedTransactions: null,
    }),
  );
  const rows: PlainRecord[] = [];
  while (cursor.next()) {
    const { buffer, keyStart, keyEnd, valueStart, valueEnd } = cursor;
    rows.push({
      key: keyStart < 0 ? null : Buffer.from(buffer.subarray(keyStart, keyEnd)),
      value: valueStart < 0 ? null : Buffer.from(buffer.subarray(valueStart, valueEnd)),
      timestampMs: cursor.timestamp,
      headers: readHeaders(buffer, cursor.headersStart, cursor.headerCount),
    });
  }
  return rows;
}
