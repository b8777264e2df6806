/** Mutants of what is read: the read_committed filter, positions, checksums, bounds and decoders. */
import type { Mutant } from './table.ts';

const FILTER = 'test/kafka/records/parse-fetched.test.ts';

export const FETCH_MUTANTS: readonly Mutant[] = [
  {
    name: 'aborted-list-as-it-comes',
    file: 'src/kafka/records/aborted-transactions.ts',
    find: 'transactions.toSorted((a, b) => a.firstOffset - b.firstOffset)',
    replace: 'transactions',
    tests: FILTER,
    kills: 'takes a list of aborted transactions in any order',
  },
  {
    name: 'one-aborted-entry-a-batch',
    file: 'src/kafka/records/aborted-transactions.ts',
    find: '      this.#producers.add(producerId);\n    }',
    replace: '      this.#producers.add(producerId);\n      this.#due += 1;\n      return;\n    }',
    tests: FILTER,
    kills: 'makes every due entry active when a fetch begins inside several transactions',
  },
  {
    name: 'marker-without-control-bit',
    file: 'src/kafka/records/parse-fetched.ts',
    find: 'if ((attributes & CONTROL) !== 0) aborted.marker(producerId, records, at, end);\n    else if',
    replace: 'aborted.marker(producerId, records, at, end);\n    if',
    tests: FILTER,
    kills: 'takes a record with key 00000000 for what it is, not for a marker',
  },
  {
    name: 'empty-batch-keeps-the-position',
    file: 'src/kafka/records/parse-fetched.ts',
    find: '    nextOffset = lastOffset + 1;\n  }',
    replace: '    if (batch !== null) nextOffset = lastOffset + 1;\n  }',
    tests: FILTER,
    kills: 'passes a batch that compaction emptied',
  },
  {
    name: 'checksum-not-looked-at',
    file: 'src/kafka/records/parse-fetched.ts',
    find: '  if (actual !== expected) {',
    replace: '  if (actual < 0) {',
    tests: 'test/kafka/fetch/corrupt.test.ts',
    kills: 'each time is fatal after the second look, with topic, partition and offset',
  },
  {
    name: 'corrupt-batch-is-fatal-at-once',
    file: 'src/kafka/fetch/node-poller.ts',
    find: 'if (isCorrupt(error) && feed.corruptAt !== feed.position) {',
    replace: 'if (isCorrupt(error) && feed.position < 0) {',
    tests: 'test/kafka/fetch/corrupt.test.ts',
    kills: 'once is fetched again, and nobody hears of it',
  },
  {
    name: 'lost-position-begins-anew-unasked',
    file: 'src/runtime/task-run.ts',
    find: "const { outOfRange = 'fail' } =",
    replace: "const { outOfRange = 'earliest' } =",
    tests: 'test/exactness/offset-reset.test.ts',
    kills: 'an instance stops with the place of records that retention took from it',
  },
  {
    name: 'prefetch-bounded-by-partition-alone',
    file: 'src/kafka/fetch/fetch-budget.ts',
    find: 'const room = half - this.#held - this.#asked;',
    replace: 'const room = half;',
    tests: 'test/kafka/fetch/fetch-bounds.test.ts',
    kills: 'stays within fetchBytesMax while nobody takes, and nothing is asked for then',
  },
  {
    name: 'paused-partitions-take-all',
    file: 'src/kafka/fetch/node-poller.ts',
    find: "    if (grant.whom === 'empty') due = empty;",
    replace: "    if (grant.whom === 'empty') due = [];",
    tests: 'test/kafka/fetch/fetch-bounds.test.ts',
    kills: 'leaves a partition its share when paused ones have taken all the rest',
  },
  {
    name: 'record-may-lie-beyond-its-batch',
    file: 'src/kafka/records/record-cursor.ts',
    find: '      offsetDelta > this.#lastOffsetDelta\n',
    replace: '      offsetDelta > 0x7fff_ffff\n',
    tests: 'test/fuzz/batches.test.ts',
    kills: 'mutated record batches of all codecs are read or refused',
  },
];
