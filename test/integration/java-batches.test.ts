/** Record batches and the classes of Kafka 4.3.1: each reads, and where it can writes, the other's bytes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { BatchWriter, sealBatch } from '../../src/kafka/records/batch-writer.ts';
import type { Compression } from '../../src/kafka/records/codecs.ts';
import { readHeaders } from '../../src/kafka/records/headers.ts';
import { parseFetched } from '../../src/kafka/records/parse-fetched.ts';
import { RecordCursor } from '../../src/kafka/records/record-cursor.ts';
import { Random } from '../fuzz/random.ts';
import { runProgram } from './real/java-program.ts';
import { describeReal } from './real/parts.ts';

type Hex = string | null;
type Row = [offset: number, timestamp: number, key: Hex, value: Hex, headers: [string, Hex][]];

interface Batch {
  readonly what: 'read' | 'written';
  readonly bytes: string;
  readonly codec: Compression;
  readonly producerId: number;
  readonly epoch: number;
  readonly sequence: number;
  readonly transactional: boolean;
  readonly control: boolean;
  readonly nextOffset: number;
  readonly logAppendTime: boolean;
  readonly records: readonly Row[];
}

const SEED = 20_261_126;
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
/** Node 20 reads zstd and does not write it; a newer Node proves that. */
const WRITTEN = CODECS.filter((codec) => codec !== 'zstd' || 'zstdCompressSync' in zlib);

const fromHex = (hex: Hex): Buffer | null => (hex === null ? null : Buffer.from(hex, 'hex'));

/** What is in a batch of ours: every kind of record that one can hold. */
function makeRows(random: Random, count: number): Row[] {
  const bytes = (most: number): Hex => {
    if (random.oneIn(6)) return null;
    const given = Buffer.alloc(random.below(most), random.below(256));
    if (random.oneIn(2)) for (let at = 0; at < given.length; at++) given[at] = random.below(256);
    return given.toString('hex');
  };
  const headers = (): [string, Hex][] =>
    Array.from({ length: random.oneIn(3) ? 1 + random.below(3) : 0 }, () => [
      Buffer.from(random.pick(['', 'a', 'trace-id', 'éÿ😀'])).toString('hex'),
      bytes(90),
    ]);
  return Array.from({ length: count }, (_, offset) => [
    offset,
    random.oneIn(9) ? random.pick([0, 253_402_300_799_999]) : 1_700_000_000_000 + random.below(999),
    bytes(40),
    bytes(random.oneIn(40) ? 90_000 : 300),
    headers(),
  ]);
}

function encode(rows: readonly Row[], codec: Compression, given: Omit<Batch, 'bytes'> | null) {
  const writer = new BatchWriter({ batchBytesMax: Number.MAX_SAFE_INTEGER, compression: codec });
  for (const [, timestamp, keyHex, valueHex, headers] of rows) {
    const [key, value] = [fromHex(keyHex), fromHex(valueHex)];
    const list = headers.map(([name, content]) => ({
      key: fromHex(name)!.toString(),
      value: fromHex(content),
    }));
    const ends = [key?.length ?? -1, value?.length ?? -1] as const;
    const start = (buffer: Buffer | null) => (buffer === null ? -1 : 0);
    writer.append(
      timestamp,
      key,
      start(key),
      ends[0],
      value,
      start(value),
      ends[1],
      list.length === 0 ? null : list,
    );
  }
  const [batch] = writer.take();
  return sealBatch(batch!, {
    producerId: given?.producerId ?? 4_000_000_017,
    producerEpoch: given?.epoch ?? 12,
    baseSequence: given?.sequence ?? 0x7fff_ffff,
    transactional:
      given?.producerId === -1
        ? 'plain'
        : given === null || given.transactional
          ? 'transactional'
          : 'idempotent',
  });
}

function decode(bytes: Buffer): { readonly rows: Row[]; readonly nextOffset: number } {
  const fetched = parseFetched(bytes, {
    fetchOffset: 0,
    isolation: 'read_committed',
    abortedTransactions: [],
  });
  const cursor = new RecordCursor();
  const rows: Row[] = [];
  cursor.load(fetched);
  while (cursor.next()) {
    const { buffer, headersStart, headerCount } = cursor;
    const hex = (start: number, end: number) =>
      start < 0 ? null : buffer.toString('hex', start, end);
    rows.push([
      cursor.offset,
      cursor.timestamp,
      hex(cursor.keyStart, cursor.keyEnd),
      hex(cursor.valueStart, cursor.valueEnd),
      readHeaders(buffer, headersStart, headerCount).map(({ key, value }) => [
        Buffer.from(key).toString('hex'),
        value === null ? null : value.toString('hex'),
      ]),
    ]);
  }
  return { rows, nextOffset: fetched.nextOffset };
}

describeReal('record batches and the Java client', () => {
  const folder = mkdtempSync(join(tmpdir(), 'escapement-batches-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const random = new Random(SEED);
  const ours = WRITTEN.flatMap((codec) =>
    [1, 2, 15, 40, 3_000].map((count) => {
      const rows = makeRows(random, count);
      return { codec, rows, bytes: Buffer.from(encode(rows, codec, null)) };
    }),
  );
  let found: Promise<Batch[]> | null = null;
  const java = (): Promise<Batch[]> => {
    const file = join(folder, 'ours.txt');
    writeFileSync(file, ours.map(({ bytes }) => bytes.toString('hex')).join('\n'));
    found ??= runProgram('Batches', [file, SEED]) as unknown as Promise<Batch[]>;
    return found;
  };

  test(`what is written here, Kafka reads: ${WRITTEN.join(', ')}`, async () => {
    const read = (await java()).filter(({ what }) => what === 'read');
    expect(read).toHaveLength(ours.length);
    for (const [at, { codec, rows }] of ours.entries()) {
      expect(read[at]).toMatchObject({
        codec,
        producerId: 4_000_000_017,
        epoch: 12,
        sequence: 0x7fff_ffff,
        transactional: true,
        control: false,
        nextOffset: rows.length,
      });
      expect(read[at]!.records).toEqual(rows);
    }
  });

  test(`what Kafka writes is read here: ${CODECS.join(', ')}, sparse offsets, far times`, async () => {
    const written = (await java()).filter(({ what }) => what === 'written');
    const seen = new Set<string>();
    for (const { bytes, codec, control, nextOffset, records, logAppendTime } of written) {
      const read = decode(Buffer.from(bytes, 'hex'));
      expect(read.nextOffset).toBe(nextOffset);
      expect(read.rows).toEqual(control ? [] : records);
      const sparse = !control && nextOffset - records[0]![0] > records.length;
      seen
        .add(codec)
        .add(sparse ? 'sparse' : 'dense')
        .add(control ? 'control' : 'data');
      if (logAppendTime) seen.add('log append time');
    }
    const kinds = ['sparse', 'dense', 'control', 'data', 'log append time'];
    expect([...seen].sort()).toEqual([...CODECS, ...kinds].sort());
  });

  test('what Kafka writes uncompressed is written here byte for byte', async () => {
    const plain = (await java()).filter(
      ({ what, codec, control, records, logAppendTime, nextOffset }) =>
        what === 'written' &&
        codec === 'none' &&
        !control &&
        !logAppendTime &&
        nextOffset === records.length,
    );
    expect(plain.length).toBeGreaterThan(5);
    for (const batch of plain) {
      const { rows } = decode(Buffer.from(batch.bytes, 'hex'));
      expect(encode(rows, 'none', batch).toString('hex')).toBe(batch.bytes);
    }
  });
});
