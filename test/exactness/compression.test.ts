/** Outputs and changelogs in each codec: they are read by others, and state is restored from them. */
import * as zlib from 'node:zlib';
import { afterEach, expect, it } from 'vitest';
import { parseFetched } from '../../src/kafka/records/parse-fetched.ts';
import { RecordCursor } from '../../src/kafka/records/record-cursor.ts';
import { counting, folded, Lab, type Row } from './lab.ts';

let lab: Lab;
afterEach(() => lab.close());

const CODECS = { gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
const written = (Object.keys(CODECS) as (keyof typeof CODECS)[]).filter(
  (name) => name !== 'zstd' || 'zstdCompressSync' in zlib,
);

/** The codec of the first batch, and every committed record as `key=count`. */
function logOf(topic: string): { readonly codec: number; readonly records: string[] } {
  const { answers } = lab.client.postFetch(topic, 0, 0);
  const { records, abortedTransactions } = answers[0]!.responses[0]!.partitions[0]!;
  const cursor = new RecordCursor();
  cursor.load(
    parseFetched(records!, { fetchOffset: 0, isolation: 'read_committed', abortedTransactions }),
  );
  const shown: string[] = [];
  while (cursor.next()) {
    const { buffer, keyStart, keyEnd, valueStart } = cursor;
    shown.push(`${buffer.toString('utf8', keyStart, keyEnd)}=${buffer.readBigInt64BE(valueStart)}`);
  }
  return { codec: records!.readInt16BE(21) & 7, records: shown };
}

it.each(written)('counts go on from a changelog compressed with %s', async (compression) => {
  lab = await Lab.open({ in: 1, out: 1 });
  const rows: Row[] = Array.from({ length: 60 }, (_, at) => [`k${at % 7}`, `${at}`]);
  lab.write('in', rows.slice(0, 40));
  const first = await lab.start(counting(), lab.wire(), { compression });
  await lab.reached(40);
  await first.stop();
  lab.write('in', rows.slice(40));
  await lab.start(counting(), lab.wire(), { compression });
  await lab.reached(60);
  for (const topic of ['out', 'app-counts-changelog']) {
    const { records, codec } = logOf(topic);
    expect([topic, codec]).toEqual([topic, CODECS[compression]]);
    expect(records).toEqual(folded(rows).output);
  }
});

const writesZstd = 'zstdCompressSync' in zlib;
it.skipIf(writesZstd)('a codec that this Node cannot write is refused at start', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  await expect(lab.start(counting(), lab.wire(), { compression: 'zstd' })).rejects.toMatchObject({
    code: 'OPTION_INVALID',
  });
});
