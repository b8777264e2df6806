/**
 * Costs of the codec per record, without a broker: `npx tsc -b src && node test/bench/micro/records.mjs`.
 * 100-byte values, 16-byte keys; every figure is the best of several rounds, in microseconds.
 */
const from = (file) =>
  import(new URL(`../../../dist/src/kafka/records/${file}.js`, import.meta.url));
const { BatchWriter, sealBatch } = await from('batch-writer');
const { parseFetched } = await from('parse-fetched');
const { RecordCursor } = await from('record-cursor');
const { crc32c } = await from('crc32c');
const { murmur2 } = await from('murmur2');

const RECORDS = 100_000;
const ROUNDS = 25;
const source = Buffer.alloc(RECORDS * 4 + 200, 'escapement ');
const ids = { producerId: 7, producerEpoch: 1, baseSequence: 0, transactional: 'transactional' };

function best(run) {
  let lowest = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    run();
    lowest = Math.min(lowest, Number(process.hrtime.bigint() - start));
  }
  return lowest / 1_000 / RECORDS;
}

const writer = new BatchWriter({ batchBytesMax: 500_000 });
let batches = [];
const encode = (valueBytes) => () => {
  for (let i = 0; i < RECORDS; i++) {
    const at = i * 4;
    if ((i & 15) === 0) writer.mark();
    writer.append(1.7e12 + i, source, at, at + 16, source, at, at + valueBytes, null);
  }
  batches = writer.take();
};

const report = (name, figure) => process.stdout.write(`${name.padEnd(34)} ${figure.toFixed(4)}\n`);
report('encode, 8-byte values', best(encode(8)));
report('encode, 100-byte values', best(encode(100)));
report(
  'seal (checksum) per record',
  best(() => {
    for (const batch of batches) sealBatch(batch, ids);
  }),
);

const bytes = Buffer.concat(batches.map((batch) => Buffer.from(sealBatch(batch, ids))));
for (let at = 0, offset = 0; at < bytes.length; ) {
  bytes.writeInt32BE(offset, at + 4);
  offset += bytes.readInt32BE(at + 57);
  at += 12 + bytes.readInt32BE(at + 8);
}
const options = { fetchOffset: 0, isolation: 'read_committed', abortedTransactions: null };
const fetched = parseFetched(bytes, options);
const cursor = new RecordCursor();
let seen = 0;
report(
  'parse (checksum) per record',
  best(() => parseFetched(bytes, options)),
);
report(
  'decode',
  best(() => {
    cursor.load(fetched);
    seen = 0;
    while (cursor.next()) seen += cursor.valueEnd - cursor.valueStart;
  }),
);
report(
  'decode and murmur2 of the key',
  best(() => {
    cursor.load(fetched);
    while (cursor.next()) seen ^= murmur2(cursor.buffer, cursor.keyStart, cursor.keyEnd);
  }),
);
const perRecord = best(() => crc32c(bytes, 0, bytes.length));
report('crc32c, gigabytes a second', bytes.length / RECORDS / perRecord / 1_000);
if (fetched.count !== RECORDS || seen === 0) throw new Error('the benchmark did not do its work');
