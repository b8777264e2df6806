/** Record batches against kafkajs 2.2.4: what it writes is read here, what is written here it reads. */
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { BatchWriter, sealBatch } from '../../../src/kafka/records/batch-writer.ts';
import { parseFetched } from '../../../src/kafka/records/parse-fetched.ts';
import { recordsOf } from './fetched-records.ts';
import { append, type PlainRecord } from './log-bytes.ts';

const require = createRequire(import.meta.url);
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch(options: unknown): Promise<{ readonly buffer: Buffer }>;
};
const Record = require('kafkajs/src/protocol/recordBatch/record/v0') as (given: unknown) => unknown;
const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => unknown;
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: unknown,
) => Promise<KafkajsBatch>;

interface KafkajsBatch {
  readonly producerId: string;
  readonly producerEpoch: number;
  readonly inTransaction: boolean;
  readonly records: readonly {
    readonly key: Buffer | null;
    readonly value: Buffer | null;
    readonly timestamp: string;
    readonly headers: { readonly [key: string]: Buffer };
  }[];
}

const records: readonly PlainRecord[] = [
  { timestamp: 1_700_000_000_000, key: 'a', value: '1', headers: [{ key: 'h', value: 'x' }] },
  { timestamp: 1_700_000_000_250, key: null, value: 'ünïcode', headers: [] },
  { timestamp: 1_700_001_000_000, key: 'tombstone', value: null, headers: [] },
  { timestamp: 1_700_000_000_001, key: 'long', value: 'v'.repeat(500), headers: [] },
];

const identity = {
  producerId: 4_000_000_017,
  producerEpoch: 3,
  baseSequence: 11,
  transactional: 'transactional',
} as const;

function ours(): Buffer {
  const writer = new BatchWriter();
  for (const record of records) append(writer, record);
  return Buffer.from(sealBatch(writer.take()[0]!, identity));
}

async function theirs(compression: number): Promise<Buffer> {
  const encoded = records.map(({ timestamp, key, value, headers }, offsetDelta) =>
    Record({
      offsetDelta,
      timestampDelta: timestamp - records[0]!.timestamp,
      key,
      value,
      headers: Object.fromEntries(headers.map((header) => [header.key, header.value])),
    }),
  );
  const batch = await RecordBatch({
    compression,
    records: encoded,
    firstTimestamp: records[0]!.timestamp,
    maxTimestamp: 1_700_001_000_000,
    producerId: identity.producerId,
    producerEpoch: identity.producerEpoch,
    firstSequence: identity.baseSequence,
    transactional: true,
    lastOffsetDelta: records.length - 1,
  });
  return batch.buffer;
}

describe('record batches of kafkajs', () => {
  it('are byte for byte ours, but for the leader epoch, which the broker sets', async () => {
    const bytes = await theirs(0);
    bytes.writeInt32BE(-1, 12);
    expect(ours().toString('hex')).toBe(bytes.toString('hex'));
  });

  it('are read, also with gzip', async () => {
    for (const compression of [0, 1]) {
      const fetched = parseFetched(await theirs(compression), {
        fetchOffset: 0,
        isolation: 'read_committed',
        abortedTransactions: [],
      });
      expect(recordsOf(fetched)).toEqual(records.map((record, offset) => ({ offset, ...record })));
    }
  });

  it('can be ours: kafkajs reads them', async () => {
    const batch = await decodeBatch(new Decoder(ours()));
    expect(batch).toMatchObject({
      producerId: '4000000017',
      producerEpoch: 3,
      inTransaction: true,
    });
    expect(
      batch.records.map(({ key, value, timestamp, headers }) => ({
        timestamp: Number(timestamp),
        key: key?.toString() ?? null,
        value: value?.toString() ?? null,
        headers: Object.entries(headers).map(([name, bytes]) => ({
          key: name,
          value: bytes.toString(),
        })),
      })),
    ).toEqual(records);
  });
});
