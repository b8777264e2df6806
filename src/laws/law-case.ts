/** What the laws are checked with: some records for the inputs, and what becomes of them. */
import fc, { type Arbitrary } from 'fast-check';

/** A record that is to be piped in. */
export interface LawRecord {
  /** Default null: then its partition is drawn, too. */
  readonly key?: unknown;
  readonly value: unknown;
  /** Event time, epoch milliseconds. Default: 1,000 and one more for each record. */
  readonly timestampMs?: number;
}

/** Arbitraries of records by input topic. */
export type LawInputs = Readonly<Record<string, Arbitrary<LawRecord>>>;

export interface CaseRecord {
  readonly topic: string;
  readonly key: unknown;
  readonly value: unknown;
  readonly timestampMs: number;
  /** Chooses the partition when there is no key. */
  readonly spread: number;
}

export interface LawCase {
  readonly records: readonly CaseRecord[];
  /** The same records in another order. */
  readonly shuffled: readonly CaseRecord[];
  /** Of every topic that the topology names. */
  readonly partitions: number;
  /** Of the random patterns. */
  readonly seed: number;
}

export interface CaseBounds {
  readonly recordsMax: number;
  readonly partitionsMax: number;
}

const FIRST_MS = 1_000;

export function caseOf(inputs: LawInputs, bounds: CaseBounds): Arbitrary<LawCase> {
  const { recordsMax, partitionsMax } = bounds;
  const drawn = Object.entries(inputs).map(([topic, given]) =>
    fc.record({
      topic: fc.constant(topic),
      given,
      spread: fc.nat(partitionsMax - 1),
      rank: fc.nat(recordsMax * 4),
    }),
  );
  return fc
    .record({
      all: fc.array(fc.oneof(...drawn), { minLength: 1, maxLength: recordsMax, size: 'max' }),
      partitions: fc.integer({ min: 1, max: partitionsMax }),
      seed: fc.nat(999),
    })
    .map(({ all, partitions, seed }) => {
      const records = all.map(({ topic, given, spread }, at): CaseRecord => {
        const { key = null, value, timestampMs = FIRST_MS + at } = given;
        return { topic, key, value, timestampMs, spread };
      });
      // By rank, so that the other order shrinks to the first one.
      const order = all.map((_, at) => at).sort((a, b) => all[a]!.rank - all[b]!.rank);
      return { records, shuffled: order.map((at) => records[at]!), partitions, seed };
    });
}
